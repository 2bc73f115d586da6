import type {
  DescEnum,
  DescEnumValue,
  DescField,
  DescFile,
  DescMessage,
  DescMethod,
  DescOneof,
  DescService,
} from '@bufbuild/protobuf';

type Commented = DescMessage | DescEnum | DescService | DescField | DescEnumValue | DescMethod | DescOneof;

/** What a method's comment says, taken apart. */
export interface MethodComment {
  /** The first sentence as plain text, without its full stop and without the method's name in front. */
  readonly summary: string;
  /** The whole, but for the errors; empty where the summary says it all. */
  readonly description: string;
  /** By the name of a gRPC code: when the method answers so. */
  readonly errors: ReadonlyMap<string, string>;
}

const commentsByFile = new WeakMap<DescFile, ReadonlyMap<string, string>>();

/**
 * The comment in front of an element, as Markdown: lines of one paragraph are joined. Empty where there is none, and
 * wherever the descriptors have no source info (those that are embedded in generated code haven't).
 */
export function commentOf(desc: Commented): string {
  const { file } =
    desc.kind === 'message' || desc.kind === 'enum' || desc.kind === 'service' ? desc : parentOf(desc);
  let comments = commentsByFile.get(file);
  if (comments === undefined) {
    comments = commentsIn(file);
    commentsByFile.set(file, comments);
  }
  return comments.get(sourcePath(desc).join()) ?? '';
}

/**
 * Takes a method's comment apart. `NOT_FOUND: no such model.` at the beginning of a line or behind a sentence says
 * when the method answers with this code, up to the next code or the end of the paragraph.
 */
export function methodComment(method: DescMethod): MethodComment {
  const errors = new Map<string, string>();
  const paragraphs: string[] = [];
  for (const paragraph of commentOf(method).split('\n\n')) {
    const [prose = '', ...parts] = paragraph.split(ERROR_CODE);
    if (prose.trim() !== '') paragraphs.push(prose.trim());
    for (let i = 0; i < parts.length; i += 2) {
      const code = parts[i] ?? '';
      const when = sentence(parts[i + 1] ?? '');
      const known = errors.get(code);
      errors.set(code, known === undefined ? when : `${known} ${when}`);
    }
  }
  const [first = '', ...rest] = paragraphs;
  const opening = first.startsWith(`${method.name} `)
    ? sentence(first.slice(method.name.length).replace(/^ is /, ''))
    : first;
  const firstSentence = /^.*?[.!?](?=\s|$)/s.exec(opening)?.[0] ?? opening;
  const isAll = firstSentence === opening && rest.length === 0;
  return {
    summary: firstSentence.replace(/\.$/, '').replaceAll('`', ''),
    description: isAll && !opening.includes('`') ? '' : [opening, ...rest].join('\n\n'),
    errors,
  };
}

const ERROR_CODE =
  /(?:^|(?<=[.)])\s|\n)(CANCELLED|UNKNOWN|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|RESOURCE_EXHAUSTED|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS|UNAUTHENTICATED): /;

function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
}

/** Comments by source path, its numbers joined by commas. */
function commentsIn(file: DescFile): ReadonlyMap<string, string> {
  const comments = new Map<string, string>();
  for (const { path, leadingComments } of file.proto.sourceCodeInfo?.location ?? []) {
    if (leadingComments !== '') comments.set(path.join(), markdown(leadingComments));
  }
  return comments;
}

/** A line that begins so isn't the continuation of the one before. */
const STANDS_ALONE = /^(?:[-*+>#|]\s|\d+[.)]\s|\s{2,}|```)/;

function markdown(comment: string): string {
  const lines = comment.split('\n').map((line) => line.replace(/^ /, '').trimEnd());
  let text = '';
  for (const line of lines.filter((each) => !/^(?:buf:lint:|@ignore-comment)/.test(each))) {
    const joins = line !== '' && text !== '' && !text.endsWith('\n') && !STANDS_ALONE.test(line);
    text += joins ? ` ${line}` : `${text === '' ? '' : '\n'}${line}`;
  }
  return text.trim();
}

/**
 * Where an element stands in its file: numbers of FileDescriptorProto's fields and indices, as SourceCodeInfo writes
 * them (google/protobuf/descriptor.proto).
 */
function sourcePath(desc: Commented): readonly number[] {
  switch (desc.kind) {
    case 'message':
      return desc.parent === undefined
        ? [4, desc.file.proto.messageType.indexOf(desc.proto)]
        : [...sourcePath(desc.parent), 3, desc.parent.proto.nestedType.indexOf(desc.proto)];
    case 'enum':
      return desc.parent === undefined
        ? [5, desc.file.proto.enumType.indexOf(desc.proto)]
        : [...sourcePath(desc.parent), 4, desc.parent.proto.enumType.indexOf(desc.proto)];
    case 'service':
      return [6, desc.file.proto.service.indexOf(desc.proto)];
    case 'field':
      return [...sourcePath(desc.parent), 2, desc.parent.proto.field.indexOf(desc.proto)];
    case 'oneof':
      return [...sourcePath(desc.parent), 8, desc.parent.proto.oneofDecl.indexOf(desc.proto)];
    case 'enum_value':
      return [...sourcePath(desc.parent), 2, desc.parent.proto.value.indexOf(desc.proto)];
    case 'rpc':
      return [...sourcePath(desc.parent), 2, desc.parent.proto.method.indexOf(desc.proto)];
  }
}

function parentOf(
  desc: DescField | DescEnumValue | DescMethod | DescOneof,
): DescMessage | DescEnum | DescService {
  return desc.parent;
}

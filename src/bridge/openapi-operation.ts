import { type DescMessage, fromJson, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import type { Binding } from './binding.ts';
import { statusFromCode } from './encode-error.ts';
import { isHttpBody } from './fields.ts';
import { commentOf, methodComment } from './openapi-comments.ts';
import type {
  MediaType,
  Operation,
  RequestBody,
  Response,
  Schema,
  SecurityRequirement,
} from './openapi-document.ts';
import { pathParameter, queryParameters } from './openapi-parameters.ts';
import type { PathParameter } from './openapi-path.ts';
import { requiredFields } from './openapi-rules.ts';
import type { SchemaTable } from './openapi-schemas.ts';

/** Who may call a method. */
export interface MethodAccess {
  /** Any one suffices; empty: nobody is refused. */
  readonly security: readonly SecurityRequirement[];
  /** By status: when a caller is refused. */
  readonly refusals?: Readonly<Record<number, string>>;
}

export interface OperationContext {
  readonly table: SchemaTable;
  readonly access: MethodAccess;
  /** Schema of an error's body. */
  readonly error: Schema;
}

export interface OperationSubject {
  readonly binding: Binding;
  /** Those of the path, as it is written. */
  readonly parameters: readonly PathParameter[];
  /** The operationId. */
  readonly id: string;
  /** A request message, without what stands in the path; null for none. */
  readonly example: JsonObject | null;
}

/** Describes what one binding takes and answers. */
export function operationFrom(subject: OperationSubject, context: OperationContext): Operation {
  const { binding, id } = subject;
  const { method } = binding;
  const { table, access } = context;
  const { summary, description, errors } = methodComment(method);
  const parameters = [
    ...subject.parameters.map((parameter) => pathParameter(parameter, binding, table)),
    ...queryParametersOf(binding, table),
  ];
  const requestBody = requestBodyOf(binding, exampleOf(subject), table);
  return {
    operationId: id,
    tags: [method.parent.name],
    ...(summary !== '' && { summary }),
    ...(description !== '' && { description }),
    ...(method.proto.options?.deprecated === true && { deprecated: true }),
    ...(parameters.length > 0 && { parameters }),
    ...(requestBody !== null && { requestBody }),
    responses: {
      200: successOf(binding, context),
      ...errorsOf(errors, parameters.length > 0 || requestBody !== null, context),
    },
    security: access.security,
  };
}

/** The example as the body has it. It must be of the message, so that none stays behind when a field is renamed. */
function exampleOf({ binding, id, example }: OperationSubject): { readonly example?: JsonValue } {
  if (example === null) return {};
  const { method, body } = binding;
  try {
    fromJson(method.input, example);
  } catch (cause) {
    throw new Error(`the example of ${id} is not a ${method.input.typeName}`, { cause });
  }
  const value = body.kind === 'field' ? example[body.field.name] : example;
  return value === undefined ? {} : { example: value };
}

function queryParametersOf(binding: Binding, table: SchemaTable) {
  const { method, body, variables } = binding;
  if (body.kind === 'all') return [];
  const bound = new Set(variables.map(({ fields }) => fields.map(({ name }) => name).join('.')));
  if (body.kind === 'field') bound.add(body.field.name);
  return queryParameters(method.input, bound, table);
}

function requestBodyOf(
  { method, body, variables }: Binding,
  example: { readonly example?: JsonValue },
  table: SchemaTable,
): RequestBody | null {
  const { input } = method;
  switch (body.kind) {
    case 'none':
      return null;
    case 'field': {
      const required = requiredFields(input).has(body.field);
      const content = body.field.message;
      if (content !== undefined && isHttpBody(content)) return { required, content: ANYTHING };
      const { description, ...schema } = table.field(body.field);
      return {
        ...(typeof description === 'string' && { description }),
        required,
        content: { 'application/json': { schema, ...example } },
      };
    }
    case 'all': {
      if (isHttpBody(input)) return { content: ANYTHING };
      const inPath = new Set(variables.flatMap(({ fields }) => (fields.length === 1 ? fields : [])));
      const required = [...requiredFields(input)].some((field) => !inPath.has(field));
      return {
        required,
        content: { 'application/json': { schema: table.message(input, inPath), ...example } },
      };
    }
  }
}

const ANYTHING: Readonly<Record<string, MediaType>> = { '*/*': {} };

function successOf(binding: Binding, { table, error }: OperationContext): Response {
  const { method, responseBody } = binding;
  const description = descriptionOf(method.output) || 'OK.';
  const content: DescMessage | undefined = responseBody === null ? method.output : responseBody.message;
  if (content !== undefined && isHttpBody(content) && responseBody?.fieldKind !== 'list') {
    return { description, content: ANYTHING };
  }
  const schema = responseBody === null ? table.message(method.output) : table.field(responseBody);
  if (method.methodKind === 'unary') return { description, content: { 'application/json': { schema } } };
  return {
    description: `${description}\n\n${STREAM_NOTE}`,
    content: {
      'application/x-ndjson': { schema: lineSchema(schema, error) },
      'text/event-stream': { schema },
    },
  };
}

const STREAM_NOTE =
  'A stream. With `Accept: text/event-stream` each event has one such object as its `data`, and a failure is a last event ' +
  'named `error`. Otherwise each line is an object, with `result`, or at last `error`.';

/** OpenAPI 3.1 has no keyword for the items of a stream, so the schema is that of one line. */
function lineSchema(result: Schema, error: Schema): Schema {
  return {
    description: 'One line.',
    oneOf: [
      { type: 'object', properties: { result }, required: ['result'] },
      { ...error, description: 'The last line, when the stream breaks off.' },
    ],
  };
}

/** "ListBooksResponse has the books." describes what is answered as "The books." */
function descriptionOf(message: DescMessage): string {
  const said = commentOf(message).replace(new RegExp(`^${message.name} (?:(?:has|is|says that) )?`), '');
  return said.charAt(0).toUpperCase() + said.slice(1);
}

function errorsOf(
  commented: ReadonlyMap<string, string>,
  takesInput: boolean,
  { access, error }: OperationContext,
): Readonly<Record<string, Response>> {
  const reasons = new Map<number, string[]>();
  const add = (status: number, reason: string): void => {
    reasons.set(status, [...(reasons.get(status) ?? []), reason]);
  };
  if (takesInput) add(400, 'A field or a parameter is missing, unknown or not of its form.');
  for (const [status, reason] of Object.entries(access.refusals ?? {})) add(Number(status), reason);
  for (const [code, reason] of commented) add(statusFromCode(codeFrom(code)), `\`${code}\`: ${reason}`);
  const content = { 'application/json': { schema: error } };
  const described = [...reasons].sort(([a], [b]) => a - b);
  return {
    ...Object.fromEntries(
      described.map(([status, each]) => [status, { description: each.join('\n\n'), content }]),
    ),
    default: { description: 'Any other error.', content },
  };
}

/** `NOT_FOUND` */
function codeFrom(name: string): Code {
  const words = name.replace('CANCELLED', 'CANCELED').split('_');
  const key = words.map((word) => word.charAt(0) + word.slice(1).toLowerCase()).join('');
  return Code[key as keyof typeof Code] ?? Code.Unknown;
}

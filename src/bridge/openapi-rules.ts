import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
} from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { createValidator } from '@bufbuild/protovalidate';
import {
  type FieldRules,
  FieldRulesSchema,
  field as fieldRulesOption,
  Ignore,
  message as messageRulesOption,
  oneof as oneofRulesOption,
} from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import type { Schema } from './openapi-document.ts';
import { keywordsOf } from './openapi-keywords.ts';

/** What rules add to the schema of a value, and what they say that JSON Schema has no keyword for. */
export interface Constraints {
  readonly keywords: Schema;
  /** Sentences. */
  readonly words: readonly string[];
}

const NONE: Constraints = { keywords: {}, words: [] };

/** The rules of a field (`buf.validate.field`), if it has any that are in force. */
export function rulesOf(field: DescField): FieldRules | null {
  return hasOption(field, fieldRulesOption) ? getOption(field, fieldRulesOption) : null;
}

/** What the rules say of one value: of the field itself, of an item, of a map's key or value. */
export function constraintsOf(
  rules: FieldRules | null | undefined,
  enumeration: DescEnum | null,
): Constraints {
  if (rules === null || rules === undefined || rules.ignore === Ignore.ALWAYS) return NONE;
  const custom = rules.cel.map((rule) => rule.message).filter((message) => message !== '');
  const words = custom.map(sentenceOf);
  const [chosen] = reflect(FieldRulesSchema, rules)
    .oneofs.map((oneof) => reflect(FieldRulesSchema, rules).oneofCase(oneof))
    .filter((field) => field !== undefined);
  if (chosen?.fieldKind !== 'message') return { keywords: {}, words };
  const typed = reflect(FieldRulesSchema, rules).get(chosen);
  const { keywords, words: more } = keywordsOf(chosen.name, typed, enumeration);
  return { keywords, words: [...more, ...words] };
}

/** The message of a rule in CEL goes on from the field's name. */
function sentenceOf(message: string): string {
  const begun = message.replace(/^must\b/, 'Must');
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** Groups of fields of which at most one may be set; `required`: exactly one. */
export interface Choice {
  readonly fields: readonly string[];
  readonly required: boolean;
}

/** The message's oneofs, and those that its rules add (`buf.validate.message.oneof`). */
export function choicesOf(message: DescMessage): readonly Choice[] {
  const declared = message.oneofs.map((oneof) => ({
    fields: oneof.fields.map((field) => field.name),
    required: hasOption(oneof, oneofRulesOption) && getOption(oneof, oneofRulesOption).required,
  }));
  const ruled = hasOption(message, messageRulesOption) ? getOption(message, messageRulesOption).oneof : [];
  return [...declared, ...ruled.map(({ fields, required }) => ({ fields, required }))];
}

const validator = createValidator();
const requiredByMessage = new WeakMap<DescMessage, ReadonlySet<DescField>>();

/**
 * The fields that must be sent: those whose absence breaks a rule. The validator itself says so, of an empty message:
 * `required` breaks, and so does any rule that the zero value of a field without presence doesn't keep (`min_len: 1`).
 * @throws Error when a rule can't be compiled
 */
export function requiredFields(message: DescMessage): ReadonlySet<DescField> {
  let required = requiredByMessage.get(message);
  if (required === undefined) {
    required = new Set(fieldsMissed(message));
    requiredByMessage.set(message, required);
  }
  return required;
}

function fieldsMissed(message: DescMessage): DescField[] {
  const result = validator.validate(message, create(message));
  if (result.kind === 'valid') return [];
  if (result.kind === 'error') throw result.error;
  return result.violations.flatMap(({ field: [first, ...deeper] }) =>
    first?.kind === 'field' && deeper.length === 0 ? [first] : [],
  );
}

import type { DescField, DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { Binding } from './binding.ts';
import { invalid } from './bridge-error.ts';
import { expectedValue, findField, listed } from './fields.ts';
import { NESTING_LIMIT } from './json-text.ts';
import { type ParameterReader, parameterReader } from './parameter-value.ts';
import { decodeQueryPart } from './percent.ts';
import { fieldPathName, setAt, valueAt } from './request-tree.ts';

/** A query parameter that the binding takes. */
interface Parameter {
  /** From the request message down. */
  readonly fields: readonly DescField[];
  /** `book.page_size`. */
  readonly path: string;
  readonly read: ParameterReader;
  readonly repeated: boolean;
  /** What a value has to look like. */
  readonly expected: string;
}

/** Names resolved before that are remembered, of each binding. */
const REMEMBERED = 256;
/** Of a client's name in a message. */
const NAME_SHOWN = 100;

/**
 * Puts the parameters of one binding's queries into the request tree. All fields that neither the path nor the body
 * holds are parameters, by their field path in either spelling (google/api/http.proto, "Rules for HTTP mapping").
 */
export class QueryParameters {
  readonly #binding: Binding;
  readonly #known = new Map<string, Parameter>();

  constructor(binding: Binding) {
    this.#binding = binding;
  }

  /** @throws BridgeError 400 that names the parameter */
  readInto(tree: JsonObject, query: string): void {
    let start = 0;
    while (start < query.length) {
      const mark = query.indexOf('&', start);
      const end = mark === -1 ? query.length : mark;
      if (end > start) this.#readPair(tree, query.slice(start, end));
      start = end + 1;
    }
  }

  #readPair(tree: JsonObject, pair: string): void {
    const equals = pair.indexOf('=');
    const name = decodeQueryPart(equals === -1 ? pair : pair.slice(0, equals));
    if (name === null) throw invalid("a query parameter's name is not percent-encoded UTF-8");
    const parameter = this.#parameter(name);
    const text = equals === -1 ? '' : decodeQueryPart(pair.slice(equals + 1));
    if (text === null) throw refusal(parameter.path, 'is not percent-encoded UTF-8');
    const value = parameter.read(text);
    if (value === null) throw refusal(parameter.path, `must be ${parameter.expected}`);
    const earlier = valueAt(tree, parameter.fields);
    if (earlier === undefined) setAt(tree, parameter.fields, parameter.repeated ? [value] : value);
    else if (parameter.repeated && Array.isArray(earlier)) earlier.push(value as JsonValue);
    else throw refusal(parameter.path, 'is given more than once');
  }

  #parameter(name: string): Parameter {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const parameter = resolveParameter(this.#binding, name);
    if (this.#known.size < REMEMBERED) this.#known.set(name, parameter);
    return parameter;
  }
}

function resolveParameter(binding: Binding, name: string): Parameter {
  const { body, variables } = binding;
  if (body.kind === 'all') {
    throw refusal(name, 'is not taken: all that is not in the path belongs into the JSON body here');
  }
  const fields = resolveFields(binding.method.input, name);
  const path = fieldPathName(fields);
  if (variables.some((variable) => fieldPathName(variable.fields) === path)) {
    throw refusal(path, 'is given by the path already');
  }
  if (body.kind === 'field' && fields[0] === body.field) {
    throw refusal(path, 'belongs into the request body');
  }
  const field = fields.at(-1) as DescField;
  const read = parameterReader(field);
  if (read === null) throw refusal(path, notAParameter(field));
  return { fields, path, read, repeated: field.fieldKind === 'list', expected: expectedValue(field) };
}

function resolveFields(input: DescMessage, name: string): readonly DescField[] {
  const parts = name.split('.', NESTING_LIMIT + 1);
  if (parts.length > NESTING_LIMIT) throw refusal(name, `is nested more than ${NESTING_LIMIT} levels deep`);
  const fields: DescField[] = [];
  let message: DescMessage | null = input;
  for (const part of parts) {
    const field: DescField | undefined = message === null ? undefined : findField(message, part);
    if (field === undefined) throw refusal(name, `is not known${knownNames(message)}`);
    fields.push(field);
    // A message that JSON writes as one value has no fields of its own here.
    message = field.fieldKind === 'message' && hasParameters(field) ? field.message : null;
  }
  return fields;
}

/** Messages whose JSON is any value have fields that stand nowhere in it. */
const FREE_FORM: ReadonlySet<string> = new Set([
  'google.protobuf.Any',
  'google.protobuf.ListValue',
  'google.protobuf.Struct',
  'google.protobuf.Value',
]);

function hasParameters(field: DescField & { readonly fieldKind: 'message' }): boolean {
  return parameterReader(field) === null && !FREE_FORM.has(field.message.typeName);
}

function knownNames(message: DescMessage | null): string {
  if (message === null || message.fields.length === 0) return '';
  return `; there are ${listed(message.fields.map(({ name }) => name))}`;
}

function notAParameter(field: DescField): string {
  if (field.fieldKind === 'map') return 'is a map, which a query can not hold';
  if (field.fieldKind === 'list') return 'is a list of messages, which a query can not hold';
  if (field.fieldKind !== 'message' || !hasParameters(field))
    return 'can hold any JSON, which a query can not';
  const names = field.message.fields.map(({ name }) => `${field.name}.${name}`);
  return names.length === 0
    ? 'has no fields, and can not be given in a query'
    : `has fields of its own: use ${listed(names)}`;
}

function refusal(name: string, what: string): Error {
  const shown = name.length > NAME_SHOWN ? `${name.slice(0, NAME_SHOWN)}…` : name;
  return invalid(`query parameter ${JSON.stringify(shown)} ${what}`, shown);
}

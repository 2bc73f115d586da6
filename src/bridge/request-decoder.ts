import {
  create,
  type DescField,
  fromJson,
  type JsonObject,
  type JsonReadOptions,
  type JsonValue,
  type Message,
  type Registry,
} from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import type { Binding, BoundVariable } from './binding.ts';
import { invalid } from './bridge-error.ts';
import { FieldMasks } from './field-masks.ts';
import { expectedValue, isHttpBody } from './fields.ts';
import { findJsonFault } from './json-fault.ts';
import { type ParameterReader, parameterReader } from './parameter-value.ts';
import { decodePercent, decodePercentButSlash } from './percent.ts';
import { QueryParameters } from './query-parameters.ts';
import { fieldPathName, isJsonObject, setAt, valueAt } from './request-tree.ts';
import { jsonTextOf, parseStrictly, RECURSION_LIMIT, refusalOfFault } from './strict-json.ts';

/** What an HTTP request has for its message. */
export interface RequestParts {
  /** The path's, as the route table returns them. */
  readonly segments: readonly string[];
  /** Raw, behind the `?`. */
  readonly query: string;
  /** Empty when there was none. */
  readonly body: Uint8Array;
  /** For google.api.HttpBody; null when there was none. */
  readonly contentType: string | null;
}

interface PathReader {
  readonly variable: BoundVariable;
  readonly name: string;
  readonly read: ParameterReader;
  readonly expected: string;
}

/** Makes the request messages of one binding; all that is the same for every request is found out beforehand. */
export class RequestDecoder {
  readonly #binding: Binding;
  readonly #paths: readonly PathReader[];
  readonly #query: QueryParameters;
  readonly #masks: FieldMasks | null;
  readonly #options: Partial<JsonReadOptions> & { readonly registry: Registry };
  /** The field, or the message itself, that takes the body as it is. */
  readonly #takesRawBody: boolean;

  constructor(binding: Binding, registry: Registry) {
    this.#binding = binding;
    this.#paths = binding.variables.map((variable) => pathReader(variable));
    this.#query = new QueryParameters(binding);
    const masks = new FieldMasks();
    this.#masks = masks.isWithout(binding.method.input) ? null : masks;
    this.#options = { registry, recursionLimit: RECURSION_LIMIT, ignoreUnknownFields: false };
    this.#takesRawBody = takesRawBody(binding);
  }

  /** The body is a google.api.HttpBody: any content type. */
  get takesRawBody(): boolean {
    return this.#takesRawBody;
  }

  /** @throws BridgeError 400 that names the field or parameter */
  decode(parts: RequestParts): Message {
    if (this.#takesRawBody) return this.#decodeAroundRawBody(parts);
    const { method, body } = this.#binding;
    const parsed =
      body.kind === 'none' || parts.body.length === 0
        ? null
        : parseStrictly(jsonTextOf(parts.body, 'body'), 'body');
    const tree = parsed === null ? {} : this.#treeOf(parsed.value);
    this.#addPath(tree, parts.segments);
    if (parts.query !== '') this.#query.readInto(tree, parts.query);
    this.#masks?.rewrite(method.input, tree);
    if (parsed?.hasLargeNumber === true) this.#refuseFault(tree);
    return this.#messageFrom(tree);
  }

  #messageFrom(tree: JsonObject): Message {
    const { input } = this.#binding.method;
    try {
      return fromJson(input, tree, this.#options);
    } catch {
      this.#refuseFault(tree);
      throw invalid(`the request is not the JSON of ${input.typeName}`);
    }
  }

  #refuseFault(tree: JsonObject): void {
    const { body, method } = this.#binding;
    const fault = findJsonFault(method.input, tree, this.#options.registry);
    if (fault !== null) throw refusalOfFault(fault, body.kind === 'none' ? 'parameter' : 'field');
  }

  /** A body that is all of the message, or one field of it. */
  #treeOf(json: JsonValue): JsonObject {
    const { body } = this.#binding;
    if (body.kind === 'field') {
      const { field } = body;
      if (json === null) throw invalid(`the body must be ${bodyExpected(field)}, not null`, field.name);
      return { [field.name]: json };
    }
    if (isJsonObject(json)) return json;
    throw invalid('the body must be a JSON object');
  }

  #addPath(tree: JsonObject, segments: readonly string[]): void {
    for (const { variable, name, read, expected } of this.#paths) {
      const text = capturedText(variable, segments);
      if (text === null) throw invalid(`${quoted(name)} in the path is not percent-encoded UTF-8`, name);
      const value = read(text);
      if (value === null) throw invalid(`${quoted(name)} in the path must be ${expected}`, name);
      const inBody = valueAt(tree, variable.fields);
      if (inBody !== undefined && !says(inBody, text, value)) {
        throw invalid(`${quoted(name)} differs in the path and in the body: leave it out of the body`, name);
      }
      if (!setAt(tree, variable.fields, value)) {
        this.#refuseFault(tree);
        throw invalid(`the body must have an object where ${quoted(name)} belongs`, name);
      }
    }
  }

  /** Path and query as ever; the body's bytes go into their place in the message unread. */
  #decodeAroundRawBody({ segments, query, body, contentType }: RequestParts): Message {
    const { method, body: bound } = this.#binding;
    const tree: JsonObject = {};
    this.#addPath(tree, segments);
    if (query !== '') this.#query.readInto(tree, query);
    this.#masks?.rewrite(method.input, tree);
    const message = this.#messageFrom(tree);
    if (bound.kind === 'all') Object.assign(message, { contentType: contentType ?? '', data: body });
    else if (bound.kind === 'field' && bound.field.fieldKind === 'message') {
      const content = create(bound.field.message, { contentType: contentType ?? '', data: body } as Record<
        string,
        unknown
      >);
      reflect(method.input, message).set(bound.field, reflect(bound.field.message, content));
    }
    return message;
  }
}

function takesRawBody({ body, method }: Binding): boolean {
  switch (body.kind) {
    case 'none':
      return false;
    case 'all':
      return isHttpBody(method.input);
    case 'field':
      return body.field.fieldKind === 'message' && isHttpBody(body.field.message);
  }
}

function pathReader(variable: BoundVariable): PathReader {
  const field = variable.fields.at(-1) as DescField;
  const read = parameterReader(field);
  if (read === null) throw new Error(`${field} can't stand in a path`);
  return { variable, name: fieldPathName(variable.fields), read, expected: expectedValue(field) };
}

/** What a variable captured; null when it isn't UTF-8. */
function capturedText({ start, end, extent }: BoundVariable, segments: readonly string[]): string | null {
  if (extent === 'one') return decodePercent(segments[start] ?? '');
  return decodePercentButSlash(segments.slice(start, extent === 'rest' ? undefined : end).join('/'));
}

/** The body may repeat what the path says, as `5` or `"5"`. */
function says(json: JsonValue, text: string, value: JsonValue): boolean {
  return typeof json !== 'object' && (String(json) === text || String(json) === String(value));
}

function bodyExpected(field: DescField): string {
  if (field.fieldKind === 'list') return 'an array';
  return field.fieldKind === 'map' ? 'an object' : expectedValue(field);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  getOption,
  hasOption,
} from '@bufbuild/protobuf';
import { http } from '../../gen/google/api/annotations_pb.ts';
import type { HttpRule } from '../../gen/google/api/http_pb.ts';
import { isHttpBody } from './fields.ts';
import { type PathTemplate, parseTemplate, type TemplateVariable } from './template.ts';

/** One HTTP method and path for one RPC. */
export interface Binding {
  readonly method: DescMethodUnary | DescMethodServerStreaming;
  /** Its place among the method's bindings: 0 for the rule itself, then `additional_bindings` in order. */
  readonly index: number;
  /** `GET`, `POST`, …; `*` for any. */
  readonly httpMethod: string;
  readonly template: PathTemplate;
  readonly variables: readonly BoundVariable[];
  readonly body: BoundBody;
  /** The field whose value is the response's body; null for the whole message. */
  readonly responseBody: DescField | null;
}

/** A template's variable and the field it fills. */
export interface BoundVariable extends TemplateVariable {
  /** From the request message down; the last is a scalar or an enum. */
  readonly fields: readonly DescField[];
}

export type BoundBody =
  /** No `body`: a request has none. */
  | { readonly kind: 'none' }
  /** `body: "*"`: all that isn't in the path. */
  | { readonly kind: 'all' }
  /** `body: "book"`. */
  | { readonly kind: 'field'; readonly field: DescField };

/** A `google.api.http` annotation that can't be served; the message names method and binding. */
export class BindingError extends Error {
  override readonly name = 'BindingError';
}

/**
 * Reads the `google.api.http` annotations of services, in their order; methods without one have no bindings.
 * @throws BindingError for the first that google/api/http.proto doesn't allow or that isn't supported: client and
 * bidirectional streams, streamed google.api.HttpBody
 */
export function bindingsOf(services: readonly DescService[]): Binding[] {
  const bindings: Binding[] = [];
  for (const service of services) {
    for (const method of service.methods) {
      if (!hasOption(method, http)) continue;
      const where = `${service.typeName}/${method.name}`;
      const rule = getOption(method, http);
      if (!hasOneRequest(method)) {
        throw new BindingError(
          `${where}: a stream of requests can't be bound to HTTP; remove google.api.http`,
        );
      }
      bindings.push(bindingFrom(rule, method, 0, where));
      rule.additionalBindings.forEach((additional, index) => {
        const place = `${where}: additional_bindings[${index}]`;
        if (additional.additionalBindings.length > 0) {
          throw new BindingError(`${place}: additional_bindings nest one level deep alone`);
        }
        bindings.push(bindingFrom(additional, method, index + 1, place));
      });
    }
  }
  return bindings;
}

function hasOneRequest(method: DescMethod): method is Binding['method'] {
  return method.methodKind === 'unary' || method.methodKind === 'server_streaming';
}

/** What errors call a binding: `a.v1.Books/GetBook: GET /v1/books/{id}`. */
export function bindingName({ method, httpMethod, template }: Binding): string {
  return `${method.parent.typeName}/${method.name}: ${httpMethod} ${template.source}`;
}

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function bindingFrom(rule: HttpRule, method: Binding['method'], index: number, place: string): Binding {
  const { httpMethod, path } = patternOf(rule, place);
  const where = `${place}: ${httpMethod} ${path}`;
  const template = attempt(where, () => parseTemplate(path));
  const variables = template.variables.map((variable) =>
    attempt(where, () => bindVariable(variable, method)),
  );
  const body = attempt(where, () => outsideOf(variables, bodyOf(rule, method, httpMethod)));
  const responseBody = attempt(where, () => responseBodyOf(rule, method));
  return { method, index, httpMethod, template, variables, body, responseBody };
}

function attempt<T>(where: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof Error) throw new BindingError(`${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

function patternOf(
  { pattern }: HttpRule,
  place: string,
): { readonly httpMethod: string; readonly path: string } {
  switch (pattern.case) {
    case undefined:
      throw new BindingError(`${place}: neither get, put, post, delete, patch nor custom is given`);
    case 'custom': {
      const { kind, path } = pattern.value;
      if (TOKEN.test(kind)) return { httpMethod: kind, path };
      throw new BindingError(
        `${place}: custom.kind must be an HTTP method or "*", not ${JSON.stringify(kind)}`,
      );
    }
    default:
      return { httpMethod: pattern.case.toUpperCase(), path: pattern.value };
  }
}

function bindVariable(variable: TemplateVariable, method: Binding['method']): BoundVariable {
  const name = `{${variable.fieldPath.join('.')}}`;
  const fields: DescField[] = [];
  let message = method.input;
  for (const [depth, part] of variable.fieldPath.entries()) {
    const field = fieldNamed(message, part);
    if (field === undefined) throw new Error(`${name}: ${message.typeName} has no field "${part}"`);
    fields.push(field);
    if (field.fieldKind === 'list')
      throw new Error(`${name}: "${part}" is repeated, which a path can't hold`);
    if (field.fieldKind === 'map') throw new Error(`${name}: "${part}" is a map, which a path can't hold`);
    const isLast = depth === variable.fieldPath.length - 1;
    if (field.fieldKind === 'message') {
      if (isLast) throw new Error(`${name}: "${part}" is a message; a path holds scalars and enums alone`);
      message = field.message;
    } else if (!isLast) throw new Error(`${name}: "${part}" is not a message and has no fields`);
  }
  return { ...variable, fields };
}

/** Annotations use the names of the proto alone. */
function fieldNamed({ fields }: DescMessage, name: string): DescField | undefined {
  return fields.find((field) => field.name === name);
}

function bodyOf({ body }: HttpRule, { input }: Binding['method'], httpMethod: string): BoundBody {
  if (body === '') {
    if (isHttpBody(input)) throw new Error('a request that is a google.api.HttpBody needs body: "*"');
    return { kind: 'none' };
  }
  if (httpMethod === 'GET' || httpMethod === 'HEAD') throw new Error(`${httpMethod} has no request body`);
  if (body === '*') return { kind: 'all' };
  const field = fieldNamed(input, body);
  if (field === undefined) {
    throw new Error(`body: ${input.typeName} has no field ${JSON.stringify(body)} at its top level`);
  }
  if (isHttpBody(input)) throw new Error('a request that is a google.api.HttpBody needs body: "*"');
  return { kind: 'field', field };
}

function outsideOf(variables: readonly BoundVariable[], body: BoundBody): BoundBody {
  for (const { fields } of variables) {
    if (body.kind !== 'field' || fields.length > 1 || fields[0] !== body.field) continue;
    throw new Error(`body: "${body.field.name}" is in the path already`);
  }
  return body;
}

function responseBodyOf(
  { responseBody }: HttpRule,
  { output, methodKind }: Binding['method'],
): DescField | null {
  const field = responseBody === '' ? null : fieldNamed(output, responseBody);
  if (field === undefined) {
    throw new Error(
      `response_body: ${output.typeName} has no field ${JSON.stringify(responseBody)} at its top level`,
    );
  }
  const content = field === null ? output : field.fieldKind === 'message' ? field.message : null;
  if (methodKind === 'server_streaming' && content !== null && isHttpBody(content)) {
    throw new Error('a stream of google.api.HttpBody is not supported');
  }
  return field;
}

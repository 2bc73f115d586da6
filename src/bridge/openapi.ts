import type { DescMethod, DescService, JsonObject } from '@bufbuild/protobuf';
import { type Binding, BindingError, bindingName, bindingsOf } from './binding.ts';
import { commentOf } from './openapi-comments.ts';
import {
  type OpenApiDocument,
  type Operation,
  type PathItem,
  type Schema,
  type SecurityScheme,
  type Server,
  type Tag,
  VERBS,
  type Verb,
} from './openapi-document.ts';
import { type MethodAccess, operationFrom } from './openapi-operation.ts';
import { type PathParameter, writePath } from './openapi-path.ts';
import { messagesWithin, SchemaTable } from './openapi-schemas.ts';

export interface OpenApiOptions {
  readonly title: string;
  readonly version: string;
  /** Markdown. */
  readonly description?: string;
  readonly servers: readonly Server[];
  readonly securitySchemes: Readonly<Record<string, SecurityScheme>>;
  readonly access: (method: DescMethod) => MethodAccess;
  /** What an error's body looks like; it becomes the schema `Error`. */
  readonly errorSchema: Schema;
  /** Request messages by operationId, such as `Library_CreateBook`; what stands in the path isn't among their fields. */
  readonly examples?: Readonly<Record<string, JsonObject>>;
  /** How a path is to be shown, where the documented spelling isn't the template's. */
  readonly spellPath?: (path: string) => string;
  /** What is served beside the bindings. */
  readonly extra?: {
    readonly tags?: readonly Tag[];
    readonly paths?: Readonly<Record<string, PathItem>>;
    readonly schemas?: Readonly<Record<string, Schema>>;
  };
}

const ERROR_NAME = 'Error';

/**
 * Describes the `google.api.http` bindings of services as OpenAPI 3.1. Descriptions come from comments, so the
 * descriptors should have source info; constraints come from protovalidate's rules; JSON is protobuf's, with proto
 * names.
 *
 * Not described, because OpenAPI 3.1 has no words for it: HTTP methods of one's own (an error), and which fields of a
 * message within a query go together.
 * @throws BindingError for an annotation that can't be served, or two that are one operation
 */
export function createOpenApi(services: readonly DescService[], options: OpenApiOptions): OpenApiDocument {
  const { title, version, description, servers, securitySchemes, extra = {} } = options;
  const bindings = bindingsOf(services);
  const table = new SchemaTable({
    inRequests: messagesWithin(bindings.map(({ method }) => method.input)),
    inResponses: messagesWithin(bindings.map(({ method }) => method.output)),
  });
  const error = { $ref: `#/components/schemas/${ERROR_NAME}` };
  const paths = new PathTable(options.spellPath ?? ((path) => path));
  for (const binding of bindings) {
    const access = options.access(binding.method);
    const context = { table, access, error };
    paths.add(binding, (parameters, id) => {
      const example = options.examples?.[id] ?? null;
      return operationFrom({ binding, parameters, id, example }, context);
    });
  }
  const unused = Object.keys(options.examples ?? {}).filter((id) => !paths.ids.has(id));
  if (unused.length > 0) throw new Error(`examples of operations that there are not: ${unused.join(', ')}`);
  const schemas = sorted({ ...table.schemas, [ERROR_NAME]: options.errorSchema, ...extra.schemas });
  return {
    openapi: '3.1.1',
    info: { title, version, ...(description !== undefined && { description }) },
    servers,
    tags: [...services.map(tagOf), ...(extra.tags ?? [])],
    paths: { ...paths.items, ...extra.paths },
    components: { schemas, securitySchemes },
  };
}

function sorted<T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function tagOf(service: DescService): Tag {
  const bound = new Set(bindingsOf([service]).map(({ method }) => method.name));
  const others = service.methods.filter(({ name }) => !bound.has(name)).map(({ name }) => `\`${name}\``);
  const note = others.length === 0 ? '' : `Over RPC alone, and so not here: ${others.join(', ')}.`;
  const description = [commentOf(service), note].filter((part) => part !== '').join('\n\n');
  return { name: service.name, ...(description !== '' && { description }) };
}

class PathTable {
  readonly items: Record<string, Partial<Record<Verb, Operation>>> = {};
  readonly ids = new Set<string>();
  readonly #spell: (path: string) => string;
  /** Paths that differ in their parameters' names alone are one path to OpenAPI: the first one's names stay. */
  readonly #byShape = new Map<string, { readonly path: string; readonly names: readonly string[] }>();

  constructor(spell: (path: string) => string) {
    this.#spell = spell;
  }

  add(binding: Binding, operation: (parameters: readonly PathParameter[], id: string) => Operation): void {
    const written = writePath(binding);
    const shape = written.path.replace(/\{[^}]*\}/g, '{}');
    const first = this.#byShape.get(shape) ?? {
      path: written.path,
      names: written.parameters.map(({ name }) => name),
    };
    this.#byShape.set(shape, first);
    const parameters = written.parameters.map((parameter, i) => ({
      ...parameter,
      name: first.names[i] ?? parameter.name,
    }));
    const path = this.#spell(first.path);
    const item = this.items[path] ?? {};
    this.items[path] = item;
    const verbs = verbsOf(binding);
    for (const verb of verbs) {
      if (item[verb] !== undefined)
        throw new BindingError(`${bindingName(binding)}: another method is bound there`);
      const id = operationId(binding, verbs.length > 1 ? verb : null);
      this.ids.add(id);
      item[verb] = operation(parameters, id);
    }
  }
}

function operationId({ method, index }: Binding, verb: Verb | null): string {
  const parts = [
    method.parent.name,
    method.name,
    ...(index === 0 ? [] : [index + 1]),
    ...(verb === null ? [] : [verb]),
  ];
  return parts.join('_');
}

function verbsOf(binding: Binding): readonly Verb[] {
  const { httpMethod, body } = binding;
  if (httpMethod === '*')
    return VERBS.filter(
      (verb) => body.kind === 'none' || (verb !== 'get' && verb !== 'head' && verb !== 'trace'),
    );
  const verb = VERBS.find((each) => each.toUpperCase() === httpMethod);
  if (verb === undefined)
    throw new BindingError(`${bindingName(binding)}: OpenAPI 3.1 has no such HTTP method`);
  return [verb];
}

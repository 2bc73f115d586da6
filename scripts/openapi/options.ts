import { type DescMethod, getOption } from '@bufbuild/protobuf';
import { Access, access as accessOption } from '../../gen/sluice/v1/access_pb.ts';
import type { OpenApiOptions } from '../../src/bridge/openapi.ts';
import type { MethodAccess } from '../../src/bridge/openapi-operation.ts';
import { ERROR_SCHEMA } from './error-schema.ts';
import { EXAMPLES } from './examples.ts';
import { EXTRA_PATHS, EXTRA_SCHEMAS, EXTRA_TAGS } from './extra-paths.ts';

const DESCRIPTION = [
  'A byte-exact pass-through gateway and typed control plane for LLM servers.',
  'The control plane is described here as JSON over HTTP. The same methods are served as Connect, gRPC and gRPC-Web ' +
    'under `/sluice.v1.{Service}/{Method}`; server reflection has their schema.',
  'A trailing slash is optional on every path of the control plane. Fields may be written in snake_case, as here, or ' +
    'in lowerCamelCase; unknown fields and parameters are refused.',
  "**The data plane** isn't JSON of Sluice's own but what the upstream speaks, byte for byte: `ANY /vllm/{endpoint}`, " +
    '`ANY /v1/{endpoint}`, `ANY /{provider}/{endpoint}`, and every route of PassthroughService. Each takes the ' +
    "upstream's own paths, bodies, streams and websockets, and a key of this gateway where the route asks for one.",
  'Without a master key in its configuration the gateway asks nobody for a key.',
].join('\n\n');

/** What stands in Sluice's OpenAPI document beside what the protos say. */
export const OPENAPI_OPTIONS: OpenApiOptions = {
  title: 'Sluice',
  version: 'v1',
  description: DESCRIPTION,
  servers: [{ url: '/' }],
  securitySchemes: {
    master_key: {
      type: 'http',
      scheme: 'bearer',
      description: 'The master key of the configuration, `sk-…`.',
    },
    virtual_key: {
      type: 'http',
      scheme: 'bearer',
      description: 'A key that KeyService made, `sk-…`.',
    },
  },
  access: (method) => ACCESS[levelOf(method)],
  errorSchema: ERROR_SCHEMA,
  examples: EXAMPLES,
  spellPath: (path) => (DOCUMENTED_WITH_SLASH.has(path) ? `${path}/` : path),
  extra: { tags: EXTRA_TAGS, paths: EXTRA_PATHS, schemas: EXTRA_SCHEMAS },
};

/** How the API was published before there were protos; a template has no trailing slash. */
const DOCUMENTED_WITH_SLASH: ReadonlySet<string> = new Set([
  '/llm/configure_model',
  '/llm/inference',
  '/llm/configurations',
  '/llm/loaded_models',
]);

const NO_KEY = 'No key was sent, or one that is malformed or not known here.';

const ACCESS: Readonly<Record<'none' | 'key' | 'master', MethodAccess>> = {
  none: { security: [] },
  key: { security: [{ master_key: [] }, { virtual_key: [] }], refusals: { 401: NO_KEY } },
  master: {
    security: [{ master_key: [] }],
    refusals: { 401: NO_KEY, 403: 'The key is a virtual one: this takes the master key.' },
  },
};

function levelOf(method: DescMethod): keyof typeof ACCESS {
  switch (getOption(method, accessOption)) {
    case Access.ANY_KEY:
    case Access.RELAY:
      return 'key';
    default:
      return 'master';
  }
}

import { z } from 'zod';
import type { Json } from '../base/json.ts';
import type { StoredKey } from './key-store.ts';
import type { StoredConfiguration, StoredRoute } from './store.ts';

/*
 * What `sluice store export` writes: lines of JSON. The first one tells the format and its version, the last one how
 * many of each kind stand between, so that a file that was cut off is noticed. Between are one configuration, loaded
 * mark, route or key each, as src/store/store.ts and src/store/key-store.ts have them, oldest first.
 *
 *   {"sluice":"store","version":1,"exportedAt":"2026-01-01T00:00:00.000Z"}
 *   {"configuration":{"configId":…}}
 *   {"loaded":{"modelId":…,"configId":…}}
 *   {"route":{"id":…}}
 *   {"key":{"id":…}}
 *   {"end":{"configuration":1,"loaded":1,"route":1,"key":1}}
 */

/** Of the format. Another one when a line says what version 1 doesn't know, or no longer what it says there. */
export const TRANSFER_VERSION = 1;

export interface LoadedMark {
  readonly modelId: string;
  readonly configId: string;
}

export type TransferRecord =
  | { readonly kind: 'configuration'; readonly value: StoredConfiguration }
  | { readonly kind: 'loaded'; readonly value: LoadedMark }
  | { readonly kind: 'route'; readonly value: StoredRoute }
  | { readonly kind: 'key'; readonly value: StoredKey };

export type TransferKind = TransferRecord['kind'];

/** In the order in which they are written and imported. A model is marked last, when its configuration is there. */
export const TRANSFER_KINDS = ['configuration', 'route', 'key', 'loaded'] as const satisfies TransferKind[];

export type TransferCounts = Readonly<Record<TransferKind, number>>;

/** What a line says. */
export type TransferLine =
  | { readonly kind: 'header'; readonly version: number }
  | { readonly kind: 'end'; readonly counts: TransferCounts }
  | TransferRecord;

/** A line that can't be understood; the message begins with what of it. It quotes nothing: lines hold secrets. */
export class TransferLineError extends Error {
  override readonly name = 'TransferLineError';
}

/** What identifies a record among those of its kind. */
export function identityOf(record: TransferRecord): string {
  switch (record.kind) {
    case 'configuration':
      return record.value.configId;
    case 'loaded':
      return record.value.modelId;
    case 'route':
    case 'key':
      return record.value.id;
  }
}

export function headerLine(exportedAt: Date): string {
  return JSON.stringify({ sluice: 'store', version: TRANSFER_VERSION, exportedAt: exportedAt.toISOString() });
}

/** The same for equal records, whichever store they come from: fields have one order. */
export function recordLine(record: TransferRecord): string {
  return JSON.stringify({ [record.kind]: SCHEMAS[record.kind].parse(record.value) });
}

export function endLine(counts: TransferCounts): string {
  return JSON.stringify({ end: counts });
}

/** @throws TransferLineError */
export function parseTransferLine(line: string): TransferLine {
  const content = jsonFrom(line);
  if (content === null || typeof content !== 'object' || Array.isArray(content)) {
    throw new TransferLineError('not a JSON object');
  }
  if ('sluice' in content) return { kind: 'header', version: checked(HEADER, 'header', content).version };
  const [[kind, value] = ['', null], ...others] = Object.entries(content);
  if (others.length > 0) throw new TransferLineError('says several things');
  switch (kind) {
    case 'end':
      return { kind, counts: checked(COUNTS, kind, value) };
    case 'configuration':
      return { kind, value: checked(SCHEMAS.configuration, kind, value) };
    case 'loaded':
      return { kind, value: checked(SCHEMAS.loaded, kind, value) };
    case 'route':
      return { kind, value: checked(SCHEMAS.route, kind, value) };
    case 'key':
      return { kind, value: checked(SCHEMAS.key, kind, value) };
    default:
      throw new TransferLineError('neither a configuration, a loaded mark, a route nor a key');
  }
}

/** Given as they are: a copy would lose names like `__proto__`. */
const mapping = z.custom<Readonly<Record<string, Json>>>(isMapping, 'Invalid input: expected object');
const texts = z.custom<Readonly<Record<string, string>>>(
  (value) => isMapping(value) && Object.values(value).every((one) => typeof one === 'string'),
  'Invalid input: expected object of strings',
);
const id = z.string().min(1);
const time = z.int().min(0);
const limit = z.int().min(0).nullable();
const usd = z.number().min(0);

const SCHEMAS = {
  configuration: z.strictObject({
    configId: id,
    modelId: z.string(),
    modelName: z.string(),
    modelType: z.string(),
    modelKwargs: mapping,
  }),
  loaded: z.strictObject({ modelId: z.string(), configId: z.string() }),
  route: z.strictObject({
    id,
    path: z.string(),
    target: z.string(),
    headers: texts,
    includeSubpath: z.boolean().nullable(),
    methods: z.array(z.string()),
    forwardHeaders: z.boolean(),
    auth: z.boolean(),
    defaultQueryParams: texts,
    costPerRequest: z.number().nullable(),
    timeoutMs: z.number().nullable(),
  }),
  key: z.strictObject({
    id,
    token: id,
    previous: z.strictObject({ token: id, until: time }).nullable(),
    keyName: z.string(),
    alias: z.string().nullable(),
    models: z.array(z.string()),
    allowedRoutes: z.array(z.string()),
    rpmLimit: limit,
    tpmLimit: limit,
    maxParallelRequests: limit,
    maxBudget: usd.nullable(),
    budget: z.strictObject({ duration: z.string(), resetAt: time }).nullable(),
    spend: usd,
    userId: z.string().nullable(),
    teamId: z.string().nullable(),
    metadata: mapping,
    tags: z.array(z.string()),
    blocked: z.boolean(),
    expiresAt: time.nullable(),
    createdAt: time,
    updatedAt: time,
  }),
} as const satisfies {
  readonly [Kind in TransferKind]: z.ZodType<Extract<TransferRecord, { kind: Kind }>['value']>;
};

const HEADER = z.looseObject({ sluice: z.literal('store'), version: z.int() });
const COUNTS = z.strictObject({ configuration: time, loaded: time, route: time, key: time });

function checked<T>(schema: z.ZodType<T>, kind: string, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new TransferLineError(`${[kind, ...(issue?.path ?? [])].join('.')}: ${issue?.message ?? 'invalid'}`);
}

function jsonFrom(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // What JSON.parse says quotes the line.
    throw new TransferLineError('not JSON');
  }
}

function isMapping(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

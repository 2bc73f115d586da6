import { addDuration, DURATION_FORMS, type Duration, parseDuration } from '../base/duration.ts';
import { SluiceError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { StoredKey } from '../store/key-store.ts';
import { fieldsToChange, type MaskedField } from './update-mask.ts';

/** What both GenerateKeyRequest and UpdateKeyRequest say of a key. */
export interface KeyFields {
  readonly keyAlias?: string | undefined;
  readonly duration?: string | undefined;
  readonly models: readonly string[];
  readonly allowedRoutes: readonly string[];
  readonly rpmLimit?: number | undefined;
  readonly tpmLimit?: number | undefined;
  readonly maxParallelRequests?: number | undefined;
  readonly maxBudget?: number | undefined;
  readonly budgetDuration?: string | undefined;
  readonly spend?: number | undefined;
  readonly userId?: string | undefined;
  readonly teamId?: string | undefined;
  readonly metadata?: Readonly<Record<string, Json>> | undefined;
  readonly tags: readonly string[];
  readonly blocked?: boolean | undefined;
}

/** What a request can decide of a key; the rest is the gateway's own. */
export type KeyDecisions = Omit<
  StoredKey,
  'id' | 'token' | 'previous' | 'keyName' | 'createdAt' | 'updatedAt'
>;

interface Field extends MaskedField<KeyFields> {
  /** The request's value as it is stored; without one the default. @throws SluiceError `invalid_request` */
  change(fields: KeyFields, now: number): Partial<KeyDecisions>;
}

const FIELDS: ReadonlyMap<string, Field> = new Map<string, Field>([
  [
    'key_alias',
    {
      isGiven: ({ keyAlias }) => keyAlias !== undefined,
      change: ({ keyAlias }) => ({ alias: keyAlias || null }),
    },
  ],
  [
    'duration',
    {
      isGiven: ({ duration }) => duration !== undefined,
      change: ({ duration }, now) => ({ expiresAt: momentAfter('duration', duration, now) }),
    },
  ],
  [
    'models',
    {
      isGiven: ({ models }) => models.length > 0,
      change: ({ models }) => ({ models: unique('models', models, modelProblem) }),
    },
  ],
  [
    'allowed_routes',
    {
      isGiven: ({ allowedRoutes }) => allowedRoutes.length > 0,
      change: ({ allowedRoutes }) => ({
        allowedRoutes: unique('allowed_routes', allowedRoutes, routeProblem),
      }),
    },
  ],
  [
    'rpm_limit',
    {
      isGiven: ({ rpmLimit }) => rpmLimit !== undefined,
      change: ({ rpmLimit = null }) => ({ rpmLimit }),
    },
  ],
  [
    'tpm_limit',
    {
      isGiven: ({ tpmLimit }) => tpmLimit !== undefined,
      change: ({ tpmLimit = null }) => ({ tpmLimit }),
    },
  ],
  [
    'max_parallel_requests',
    {
      isGiven: ({ maxParallelRequests }) => maxParallelRequests !== undefined,
      change: ({ maxParallelRequests = null }) => ({ maxParallelRequests }),
    },
  ],
  [
    'max_budget',
    {
      isGiven: ({ maxBudget }) => maxBudget !== undefined,
      change: ({ maxBudget = null }) => ({ maxBudget }),
    },
  ],
  [
    'budget_duration',
    {
      isGiven: ({ budgetDuration }) => budgetDuration !== undefined,
      change: ({ budgetDuration = '' }, now) => {
        const resetAt = momentAfter('budget_duration', budgetDuration, now);
        return { budget: resetAt === null ? null : { duration: budgetDuration, resetAt } };
      },
    },
  ],
  ['spend', { isGiven: ({ spend }) => spend !== undefined, change: ({ spend = 0 }) => ({ spend }) }],
  [
    'user_id',
    {
      isGiven: ({ userId }) => userId !== undefined,
      change: ({ userId }) => ({ userId: userId || null }),
    },
  ],
  [
    'team_id',
    {
      isGiven: ({ teamId }) => teamId !== undefined,
      change: ({ teamId }) => ({ teamId: teamId || null }),
    },
  ],
  [
    'metadata',
    {
      isGiven: ({ metadata }) => metadata !== undefined,
      change: ({ metadata = {} }) => ({ metadata }),
    },
  ],
  ['tags', { isGiven: ({ tags }) => tags.length > 0, change: ({ tags }) => ({ tags }) }],
  [
    'blocked',
    {
      isGiven: ({ blocked }) => blocked !== undefined,
      change: ({ blocked = false }) => ({ blocked }),
    },
  ],
]);

const NOTHING_DECIDED: KeyDecisions = {
  alias: null,
  models: [],
  allowedRoutes: [],
  rpmLimit: null,
  tpmLimit: null,
  maxParallelRequests: null,
  maxBudget: null,
  budget: null,
  spend: 0,
  userId: null,
  teamId: null,
  metadata: {},
  tags: [],
  blocked: false,
  expiresAt: null,
};

/**
 * What a new key is like.
 * @param now ms since 1970, where its durations begin
 * @throws SluiceError `invalid_request` naming the field
 */
export function decisionsFrom(fields: KeyFields, now: number): KeyDecisions {
  return { ...NOTHING_DECIDED, ...changed([...FIELDS.values()], fields, now) };
}

/**
 * What an update changes: see `fieldsToChange`.
 * @throws SluiceError `invalid_request` naming the field, or `update_mask`
 */
export function changesFrom(
  request: KeyFields & { readonly updateMask?: { readonly paths: readonly string[] } | undefined },
  now: number,
): Partial<KeyDecisions> {
  // An empty text that a form left over must not make a key live for ever: the mask says that it is meant.
  if ((request.updateMask?.paths.length ?? 0) === 0) {
    if (request.duration === '') throw durationProblem('duration', EMPTY_REMEDY);
    if (request.budgetDuration === '') throw durationProblem('budget_duration', EMPTY_REMEDY);
  }
  return changed(fieldsToChange(request, FIELDS), request, now);
}

const EMPTY_REMEDY = '; name it in update_mask to remove it';

function changed(fields: readonly Field[], request: KeyFields, now: number): Partial<KeyDecisions> {
  return Object.assign({}, ...fields.map((field) => field.change(request, now))) as Partial<KeyDecisions>;
}

/**
 * A duration of a request; null where there is none.
 * @throws SluiceError `invalid_request` naming the field
 */
export function durationFrom(param: string, text: string | undefined): Duration | null {
  if (text === undefined || text === '') return null;
  const duration = parseDuration(text);
  if (duration === null) throw durationProblem(param, '');
  return duration;
}

function durationProblem(param: string, remedy: string): SluiceError {
  const message = `${param}: not a duration, say ${DURATION_FORMS}, up to 100 years${remedy}`;
  return new SluiceError('invalid_request', message, { param });
}

/** When a duration is over that begins now; null where there is none. */
export function momentAfter(param: string, text: string | undefined, now: number): number | null {
  const duration = durationFrom(param, text);
  return duration === null ? null : addDuration(now, duration);
}

/** In their order, each once. */
function unique(
  param: string,
  values: readonly string[],
  problemOf: (value: string) => string | null,
): readonly string[] {
  for (const [index, value] of values.entries()) {
    const problem = problemOf(value);
    if (problem === null) continue;
    const place = `${param}[${index}]`;
    throw new SluiceError('invalid_request', `${place}: ${problem}`, { param: place });
  }
  return [...new Set(values)];
}

/** A star elsewhere would be taken for part of a name, and let nothing in. */
function modelProblem(model: string): string | null {
  if (model === '*') return 'all models are allowed by naming none';
  return model.slice(0, -1).includes('*') || (model.endsWith('*') && !model.endsWith('/*'))
    ? "a * stands at the end alone, behind a slash: 'openai/*'"
    : null;
}

function routeProblem(route: string): string | null {
  return /[*?#]/.test(route)
    ? "it is the beginning of paths, '/vllm', without *, ? and #; all below it is allowed too"
    : null;
}

import type { StoredKey } from './key-store.ts';
import { nanoUsdFrom } from './spending.ts';
import { json, number, type Parameters, type Row, text, textOrNull, texts } from './sqlite-rows.ts';

/** Of all columns but spending. */
export function parametersFromKey(key: StoredKey): Parameters {
  return {
    id: key.id,
    token: key.token,
    previousToken: key.previous?.token ?? null,
    previousUntil: key.previous?.until ?? null,
    keyName: key.keyName,
    alias: key.alias,
    models: JSON.stringify(key.models),
    allowedRoutes: JSON.stringify(key.allowedRoutes),
    rpmLimit: key.rpmLimit,
    tpmLimit: key.tpmLimit,
    maxParallelRequests: key.maxParallelRequests,
    maxBudget: key.maxBudget,
    budgetDuration: key.budget?.duration ?? null,
    budgetResetAt: key.budget?.resetAt ?? null,
    userId: key.userId,
    teamId: key.teamId,
    metadata: JSON.stringify(key.metadata),
    tags: JSON.stringify(key.tags),
    blocked: Number(key.blocked),
    expiresAt: key.expiresAt,
    createdAt: key.createdAt,
    updatedAt: key.updatedAt,
  };
}

export function parametersFromNewKey(key: StoredKey): Parameters {
  return { ...parametersFromKey(key), spendNanoUsd: nanoUsdFrom(key.spend) };
}

export function keyFrom(row: Row): StoredKey {
  const previousToken = textOrNull(row, 'previous_token');
  return {
    id: text(row, 'id'),
    token: text(row, 'token'),
    previous: previousToken === null ? null : { token: previousToken, until: needed(row, 'previous_until') },
    keyName: text(row, 'key_name'),
    alias: textOrNull(row, 'alias'),
    models: texts(row, 'models'),
    allowedRoutes: texts(row, 'allowed_routes'),
    rpmLimit: number(row, 'rpm_limit'),
    tpmLimit: number(row, 'tpm_limit'),
    maxParallelRequests: number(row, 'max_parallel_requests'),
    maxBudget: number(row, 'max_budget'),
    budget: row.budget_duration === null ? null : budgetFrom(row),
    spend: needed(row, 'spend'),
    userId: textOrNull(row, 'user_id'),
    teamId: textOrNull(row, 'team_id'),
    metadata: json(row, 'metadata') as StoredKey['metadata'],
    tags: texts(row, 'tags'),
    blocked: needed(row, 'blocked') !== 0,
    expiresAt: number(row, 'expires_at'),
    createdAt: needed(row, 'created_at'),
    updatedAt: needed(row, 'updated_at'),
  };
}

export function budgetFrom(row: Row): NonNullable<StoredKey['budget']> {
  return { duration: text(row, 'budget_duration'), resetAt: needed(row, 'budget_reset_at') };
}

function needed(row: Row, column: string): number {
  const value = number(row, column);
  if (value === null) throw new TypeError(`column ${column} holds no number`);
  return value;
}

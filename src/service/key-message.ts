import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { VirtualKeySchema } from '../../gen/sluice/v1/key_pb.ts';
import type { StoredKey } from '../store/key-store.ts';
import { atPresent } from './key-budget.ts';

/**
 * A key as it is shown; GenerateKeyResponse has the same fields.
 * @param now ms since 1970
 */
export function keyMessage(stored: StoredKey, now: number) {
  const key = atPresent(stored, now);
  const { rpmLimit, tpmLimit, maxParallelRequests, maxBudget, expiresAt } = key;
  return {
    token: key.token,
    keyName: key.keyName,
    keyAlias: key.alias ?? '',
    models: [...key.models],
    allowedRoutes: [...key.allowedRoutes],
    ...(rpmLimit !== null && { rpmLimit }),
    ...(tpmLimit !== null && { tpmLimit }),
    ...(maxParallelRequests !== null && { maxParallelRequests }),
    ...(maxBudget !== null && { maxBudget }),
    budgetDuration: key.budget?.duration ?? '',
    ...(key.budget !== null && { budgetResetAt: timestampFromMs(key.budget.resetAt) }),
    spend: key.spend,
    userId: key.userId ?? '',
    teamId: key.teamId ?? '',
    // A Struct's JSON is mutable by type, and not changed by anyone.
    metadata: key.metadata as Record<string, never>,
    tags: [...key.tags],
    blocked: key.blocked,
    ...(expiresAt !== null && { expires: timestampFromMs(expiresAt) }),
    createdAt: timestampFromMs(key.createdAt),
    updatedAt: timestampFromMs(key.updatedAt),
  } satisfies MessageInitShape<typeof VirtualKeySchema>;
}

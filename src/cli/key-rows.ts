import type { VirtualKey } from '../sdk/virtual-key.ts';
import { printable, table } from './table.ts';

type Moment = VirtualKey['expires'];

/** Keys for people, one a line. */
export function keyTable(keys: readonly VirtualKey[]): string {
  return table(
    ['ALIAS', 'KEY', 'STATE', 'SPENT', 'LIMITS', 'EXPIRES', 'TOKEN'],
    keys.map((key) => [
      key.keyAlias || '-',
      key.keyName,
      stateOf(key),
      spentOf(key),
      limitsOf(key).join(', ') || '-',
      momentOf(key.expires) ?? 'never',
      key.token,
    ]),
  );
}

/** All that is known of one, for people: a name and a value a line; what it hasn't is left out. */
export function describedKey(key: VirtualKey): string {
  const { keyAlias, models, allowedRoutes, userId, teamId, tags, metadata = {}, budgetDuration } = key;
  const lines: readonly (readonly [name: string, value: string | null])[] = [
    ['key', key.keyName],
    ['token', key.token],
    ['alias', keyAlias],
    ['state', stateOf(key)],
    ['models', models.join(', ') || 'all'],
    ['routes', allowedRoutes.join(', ') || 'all'],
    ['limits', limitsOf(key).join(', ') || 'none'],
    ['spent', spentOf(key)],
    ['begins anew', budgetDuration && `${momentOf(key.budgetResetAt) ?? '-'}, every ${budgetDuration}`],
    ['user', userId],
    ['team', teamId],
    ['tags', tags.join(', ')],
    ['metadata', Object.keys(metadata).length === 0 ? '' : JSON.stringify(metadata)],
    ['expires', momentOf(key.expires) ?? 'never'],
    ['created', momentOf(key.createdAt)],
    ['updated', momentOf(key.updatedAt)],
  ];
  return lines
    .flatMap(([name, value]) => (value ? [`${name.padEnd(13)}${printable(value)}\n`] : []))
    .join('');
}

function stateOf({ blocked, expires }: VirtualKey): string {
  if (blocked) return 'blocked';
  return expires !== undefined && millisecondsOf(expires) <= Date.now() ? 'expired' : 'open';
}

function spentOf({ spend, maxBudget }: VirtualKey): string {
  const spent = `$${Number(spend.toFixed(6))}`;
  return maxBudget === undefined ? spent : `${spent} of $${maxBudget}`;
}

function limitsOf({ rpmLimit, tpmLimit, maxParallelRequests }: VirtualKey): readonly string[] {
  return [
    ...(rpmLimit === undefined ? [] : [`${rpmLimit} rpm`]),
    ...(tpmLimit === undefined ? [] : [`${tpmLimit} tpm`]),
    ...(maxParallelRequests === undefined ? [] : [`${maxParallelRequests} at a time`]),
  ];
}

/** In UTC: `2026-11-20 14:05:09Z`. */
function momentOf(moment: Moment): string | null {
  if (moment === undefined) return null;
  return new Date(millisecondsOf(moment)).toISOString().replace('T', ' ').replace(/\.\d+/, '');
}

function millisecondsOf({ seconds, nanos }: NonNullable<Moment>): number {
  return Number(seconds) * 1_000 + Math.floor(nanos / 1_000_000);
}

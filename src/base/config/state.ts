import { join } from 'node:path';
import type { RedisState, SqliteState, StateConfig } from './config.ts';
import { variable } from './environment.ts';
import { GENERAL_PATH, type GeneralValues } from './general-settings.ts';
import { isRedisUrl, redisStateFrom } from './redis-url.ts';
import { redisFromVariables } from './redis-variables.ts';
import type { Reading } from './section.ts';

const REMEDY =
  'leave it out (state is then kept in .sluice/sluice.db), or write sqlite:/absolute/path, sqlite:relative/path or redis://host:6379';

type Place = SqliteState | RedisState | { readonly kind: 'problem'; readonly problem: string };

/**
 * Where state is kept: `database_url`, else `DATABASE_URL`, else the Redis of LiteLLM's variables (`REDIS_URL`,
 * `REDIS_HOST`, …), else `sluice.db` in `SLUICE_DATA_DIR`, else in `.sluice`.
 */
export function stateFrom(values: GeneralValues, reading: Reading): StateConfig {
  const { report, environment } = reading;
  const setting = values.database_url === undefined ? null : placeFrom(values.database_url);
  const url = variable(environment, 'DATABASE_URL');
  const environmental = url === null ? null : placeFrom(url);
  const redis = redisFromVariables(environment);

  if (setting?.kind === 'problem') report.fault([...GENERAL_PATH, 'database_url'], setting.problem);
  if (environmental?.kind === 'problem') report.faultOfVariable('DATABASE_URL', environmental.problem);
  const chosen = setting ?? environmental;
  if (redis !== null && chosen !== null) {
    const winner = setting === null ? 'DATABASE_URL' : 'database_url';
    report.warnOfVariable(redis.name, `is not used: ${winner} says where state is kept`);
  } else if (redis?.reading.kind === 'problem') {
    report.faultOfVariable(redis.name, redis.reading.problem);
  }
  const place = chosen ?? redis?.reading ?? null;
  if (place !== null && place.kind !== 'problem') return place;
  return { kind: 'sqlite', file: join(variable(environment, 'SLUICE_DATA_DIR') ?? '.sluice', 'sluice.db') };
}

function placeFrom(url: string): Place {
  if (isRedisUrl(url)) return redisStateFrom(url);
  const scheme = /^([a-z][a-z\d+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? '';
  if (scheme === 'sqlite') return sqliteFile(url.slice('sqlite:'.length));
  const name = DATABASES.find(([pattern]) => pattern.test(scheme))?.[1] ?? null;
  const fault = name === null ? 'must be a sqlite: or redis:// URL' : `${name} is not supported`;
  return { kind: 'problem', problem: `${fault}; ${REMEDY}` };
}

function sqliteFile(file: string): Place {
  if (file === ':memory:') return { kind: 'sqlite', file };
  const problem = fileProblem(file);
  return problem === null ? { kind: 'sqlite', file } : { kind: 'problem', problem: `${problem}; ${REMEDY}` };
}

function fileProblem(file: string): string | null {
  if (file === '') return 'names no file';
  // SQLAlchemy, which LiteLLM's users know, takes sqlite:///x for a relative path; by RFC 8089 it would be /x.
  if (file.startsWith('//'))
    return 'begins with sqlite://, which says different things to different programs';
  if (file.endsWith('/')) return 'names a folder, not a file';
  return file.includes('\0') ? 'has a character that no path can have' : null;
}

const DATABASES: readonly (readonly [RegExp, string])[] = [
  [/^postgres(ql)?(\+|$)/, 'Postgres'],
  [/^(mysql|mariadb)(\+|$)/, 'MySQL'],
  [/^mongodb(\+|$)/, 'MongoDB'],
];

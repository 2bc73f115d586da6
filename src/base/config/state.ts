import { join } from 'node:path';
import type { StateConfig } from './config.ts';
import { variable } from './environment.ts';
import { GENERAL_PATH, type GeneralValues } from './general-settings.ts';
import type { Reading } from './section.ts';

const REMEDY =
  'leave it out (state is then kept in .sluice/sluice.db), or write sqlite:/absolute/path or sqlite:relative/path';

type DatabaseUrl =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'redis' }
  | { readonly kind: 'problem'; readonly problem: string };

/**
 * Where state is kept: `database_url`, else `DATABASE_URL`, else `sluice.db` in `SLUICE_DATA_DIR`, else in `.sluice`.
 * A Redis is warned of: this version doesn't use it.
 */
export function stateFrom(values: GeneralValues, reading: Reading): StateConfig {
  const { report, environment } = reading;
  const atHome = join(variable(environment, 'SLUICE_DATA_DIR') ?? '.sluice', 'sluice.db');
  const setting = values.database_url === undefined ? null : databaseUrlFrom(values.database_url);
  const url = variable(environment, 'DATABASE_URL');
  const environmental = url === null ? null : databaseUrlFrom(url);
  const chosen = setting ?? environmental;
  const file = chosen?.kind === 'sqlite' ? chosen.file : atHome;
  const notYet = `Redis is not used by this version yet; state is kept in ${file}`;

  const at = [...GENERAL_PATH, 'database_url'];
  if (setting?.kind === 'problem') report.fault(at, setting.problem);
  if (setting?.kind === 'redis') report.warn(at, notYet);
  if (environmental?.kind === 'problem') report.faultOfVariable('DATABASE_URL', environmental.problem);
  if (environmental?.kind === 'redis') report.warnOfVariable('DATABASE_URL', notYet);
  for (const name of ['REDIS_URL', 'REDIS_HOST']) {
    if (variable(environment, name) !== null) report.warnOfVariable(name, notYet);
  }
  return { kind: 'sqlite', file };
}

function databaseUrlFrom(url: string): DatabaseUrl {
  if (/^rediss?:\/\//i.test(url)) return { kind: 'redis' };
  const scheme = /^([a-z][a-z\d+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? '';
  if (scheme === 'sqlite') return sqliteFile(url.slice('sqlite:'.length));
  const name = DATABASES.find(([pattern]) => pattern.test(scheme))?.[1] ?? null;
  const fault = name === null ? 'must be a sqlite: or redis:// URL' : `${name} is not supported`;
  return { kind: 'problem', problem: `${fault}; ${REMEDY}` };
}

function sqliteFile(file: string): DatabaseUrl {
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

import { variable } from './environment.ts';
import { GENERAL_PATH, type GeneralValues } from './general-settings.ts';
import type { Reading } from './section.ts';

const NOT_YET = 'state: not used by this version yet';
const REMEDY =
  'leave it out (this version keeps no state), or set redis://host:6379, which a later one will share between instances';

/** Judges where state shall be kept. This version keeps none yet, but what will never do is told now. */
export function checkState(values: GeneralValues, reading: Reading): void {
  const { report, environment } = reading;
  if (values.database_url !== undefined) {
    const at = [...GENERAL_PATH, 'database_url'];
    const problem = databaseProblem(values.database_url);
    if (problem === null) report.warn(at, NOT_YET);
    else report.fault(at, problem);
  }
  const url = variable(environment, 'DATABASE_URL');
  const problem = url === null ? null : databaseProblem(url);
  if (problem !== null) report.faultOfVariable('DATABASE_URL', problem);
  else if (url !== null) report.warnOfVariable('DATABASE_URL', NOT_YET);
  for (const name of ['REDIS_URL', 'REDIS_HOST']) {
    if (variable(environment, name) !== null) report.warnOfVariable(name, NOT_YET);
  }
}

function databaseProblem(url: string): string | null {
  if (/^(rediss?:\/\/|sqlite:)/i.test(url)) return null;
  const scheme = /^([a-z][a-z\d+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? '';
  const name = DATABASES.find(([pattern]) => pattern.test(scheme))?.[1] ?? null;
  return name === null
    ? `must be a redis://, rediss:// or sqlite: URL; ${REMEDY}`
    : `${name} is not supported; ${REMEDY}`;
}

const DATABASES: readonly (readonly [RegExp, string])[] = [
  [/^postgres(ql)?(\+|$)/, 'Postgres'],
  [/^(mysql|mariadb)(\+|$)/, 'MySQL'],
  [/^mongodb(\+|$)/, 'MongoDB'],
];

import { readdirSync, readFileSync } from 'node:fs';

/** The statements of sql/statements.sql and sql/key-statements.sql. */
export const STATEMENT_NAMES = [
  'walMode',
  'schemaVersion',
  'applicationId',
  'tableCount',
  'dataVersion',
  'begin',
  'beginReading',
  'commit',
  'rollback',
  'insertConfiguration',
  'selectConfiguration',
  'selectConfigurations',
  'deleteConfiguration',
  'upsertLoaded',
  'deleteLoaded',
  'selectLoaded',
  'insertRoute',
  'selectRoute',
  'selectRoutes',
  'selectNamesakes',
  'updateRoute',
  'deleteRoute',
  'insertKey',
  'updateKey',
  'deleteKey',
  'selectKey',
  'selectKeyByToken',
  'selectKeyByAlias',
  'selectKeyWithTokens',
  'selectKeyWithAlias',
  'selectKeys',
  'countKeys',
  'selectKeysOfUser',
  'countKeysOfUser',
  'selectKeysOfTeam',
  'countKeysOfTeam',
  'selectKeysOfUserInTeam',
  'countKeysOfUserInTeam',
  'selectKeysVersion',
  'bumpKeysVersion',
  'setSpend',
  'addSpend',
  'selectDueBudget',
  'beginBudgetAnew',
] as const;

export type StatementName = (typeof STATEMENT_NAMES)[number];

/** Brings a database from the version before to `version`. */
export interface Migration {
  readonly version: number;
  readonly sql: string;
}

export interface SqlSources {
  /** For each new connection. */
  readonly connection: string;
  readonly statements: ReadonlyMap<StatementName, string>;
  /** In their order, without a gap: 1, 2, … */
  readonly migrations: readonly Migration[];
}

const FOLDER = new URL('./sql/', import.meta.url);

let loaded: SqlSources | null = null;

/** All SQL there is, read from its files once. @throws Error when the files and the code don't belong together */
export function sqlSources(): SqlSources {
  loaded ??= {
    connection: source('connection.sql'),
    statements: statementsFrom(source('statements.sql') + source('key-statements.sql')),
    migrations: readdirSync(new URL('migrations/', FOLDER))
      .filter((name) => name.endsWith('.sql'))
      .sort()
      .map((name, index) => migrationFrom(name, index + 1)),
  };
  return loaded;
}

function source(name: string): string {
  return readFileSync(new URL(name, FOLDER), 'utf8');
}

/** `0001-what-it-brings.sql` */
function migrationFrom(name: string, version: number): Migration {
  if (Number.parseInt(name, 10) !== version)
    throw new Error(`sql/migrations/${name}: expected number ${version}`);
  return { version, sql: source(`migrations/${name}`) };
}

function statementsFrom(text: string): ReadonlyMap<StatementName, string> {
  const found = new Map<string, string>();
  for (const part of text.split(/^-- name: /m).slice(1)) {
    const end = part.indexOf('\n');
    found.set(part.slice(0, end).trim(), part.slice(end + 1));
  }
  const statements = new Map<StatementName, string>();
  for (const name of STATEMENT_NAMES) {
    const sql = found.get(name);
    if (sql === undefined) throw new Error(`sql/*statements.sql: nothing is called ${name}`);
    statements.set(name, sql);
    found.delete(name);
  }
  if (found.size > 0) throw new Error(`sql/*statements.sql: nobody uses ${[...found.keys()].join(', ')}`);
  return statements;
}

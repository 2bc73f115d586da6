import { SluiceError } from '../base/errors.ts';
import { StoreOpenError } from './store-open-error.ts';

/** https://www.sqlite.org/rescode.html; the lowest byte of an extended code. */
const BUSY = 5;
const LOCKED = 6;
const PROTOCOL = 15;

const SQLITE_PROBLEMS: ReadonlyMap<number, Problem> = new Map([
  [BUSY, { what: 'other processes keep it locked', remedy: 'wait' }],
  [8, { what: 'it is read-only', remedy: 'rights' }],
  [10, { what: 'the disk, or the file system, reports an error', remedy: 'disk' }],
  [11, { what: 'it is damaged', remedy: 'restore' }],
  [13, { what: 'the disk is full', remedy: 'disk' }],
  [14, { what: "it can't be opened", remedy: 'rights' }],
  [PROTOCOL, { what: 'other processes keep it locked', remedy: 'wait' }],
  [26, { what: 'it is not an SQLite database', remedy: 'restore' }],
]);

const FILE_PROBLEMS: ReadonlyMap<string, Problem> = new Map([
  ['EACCES', { what: 'no permission to write there', remedy: 'rights' }],
  ['EISDIR', { what: 'it is a folder', remedy: 'elsewhere' }],
  ['ENAMETOOLONG', { what: 'its name is too long', remedy: 'elsewhere' }],
  ['ENOENT', { what: "its folder can't be made", remedy: 'elsewhere' }],
  ['ENOSPC', { what: 'the disk is full', remedy: 'disk' }],
  ['ENOTDIR', { what: 'a part of its path is no folder', remedy: 'elsewhere' }],
  ['EEXIST', { what: 'a part of its path is no folder', remedy: 'elsewhere' }],
  ['EPERM', { what: 'no permission to write there', remedy: 'rights' }],
  ['EROFS', { what: 'the file system is read-only', remedy: 'elsewhere' }],
]);

interface Problem {
  readonly what: string;
  readonly remedy: keyof typeof REMEDIES;
}

const ELSEWHERE = 'name another place with SLUICE_DATA_DIR=folder or DATABASE_URL=sqlite:file';

const REMEDIES = {
  wait: 'look for a program that holds it, and start again',
  rights: `let the user that runs Sluice write there, or ${ELSEWHERE}`,
  disk: `make room or mend it, or ${ELSEWHERE}`,
  restore: 'put a copy in its place, or move it away to begin without one',
  elsewhere: ELSEWHERE,
} as const;

/** Another file than one of ours: of a newer version, of another program. */
export function foreignFile(file: string, what: string, remedy?: string): StoreOpenError {
  return new StoreOpenError(file, what, remedy === undefined ? ELSEWHERE : `${remedy}, or ${ELSEWHERE}`);
}

/** Whatever opening a database has thrown. */
export function openErrorFrom(file: string, thrown: unknown): StoreOpenError {
  if (thrown instanceof StoreOpenError) return thrown;
  const problem = problemOf(thrown);
  if (problem !== null) return new StoreOpenError(file, problem.what, REMEDIES[problem.remedy], thrown);
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new StoreOpenError(file, text.replaceAll(/\s+/g, ' '), ELSEWHERE, thrown);
}

/**
 * Whatever a verb has thrown, as its caller gets it: what SQLite says is `store_unavailable`, without the file's path,
 * which is nobody's business beyond this machine.
 */
export function verbErrorFrom(thrown: unknown): unknown {
  if (isClosed(thrown)) {
    return new SluiceError('store_unavailable', 'State is not available: its store is closed.', {
      cause: thrown,
    });
  }
  if (primaryCode(thrown) === null) return thrown;
  const what = problemOf(thrown)?.what ?? 'its database reports an error';
  return new SluiceError('store_unavailable', `State is not available just now: ${what}.`, { cause: thrown });
}

/** True where trying again soon may do. */
export function isBusy(thrown: unknown): boolean {
  const code = primaryCode(thrown);
  return code === BUSY || code === LOCKED || code === PROTOCOL;
}

function problemOf(thrown: unknown): Problem | null {
  const code = primaryCode(thrown);
  if (code !== null) return SQLITE_PROBLEMS.get(code) ?? null;
  return FILE_PROBLEMS.get(codeOf(thrown)) ?? null;
}

function primaryCode(thrown: unknown): number | null {
  if (codeOf(thrown) !== 'ERR_SQLITE_ERROR') return null;
  const { errcode } = thrown as { readonly errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : null;
}

function isClosed(thrown: unknown): boolean {
  return codeOf(thrown) === 'ERR_INVALID_STATE';
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

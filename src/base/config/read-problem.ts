/** Why a file couldn't be read, in plain words. */
export function readProblem(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  return PROBLEMS.get(code) ?? (thrown instanceof Error ? thrown.message : String(thrown));
}

const PROBLEMS: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'no permission to read it'],
  ['EISDIR', 'it is a directory, not a file'],
  ['ELOOP', 'its symbolic links lead in a circle'],
  ['ENAMETOOLONG', 'its name is too long'],
  ['ENOENT', 'no such file'],
  ['ENOTDIR', 'a part of its path is no directory'],
  ['EPERM', 'no permission to read it'],
]);

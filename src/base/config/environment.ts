/** Environment variables by name, as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The process's own environment, as it is now. Nothing else in the house reads `process.env`. */
export function processEnvironment(): Environment {
  return Object.freeze({ ...process.env });
}

/** A variable that was found: its name, for messages, and its value. */
export interface Variable {
  readonly name: string;
  readonly value: string;
}

/** A set variable's value. One that is empty counts as unset: scripts export names before they know the values. */
export function variable(environment: Environment, name: string): string | null {
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
  return value === undefined || value === '' ? null : value;
}

/** The first of several names that is set. */
export function firstVariable(environment: Environment, names: readonly string[]): Variable | null {
  for (const name of names) {
    const value = variable(environment, name);
    if (value !== null) return { name, value };
  }
  return null;
}

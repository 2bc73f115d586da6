import { type Environment, variable } from './environment.ts';
import type { Path, Report } from './report.ts';
import { isYamlObject, type YamlValue } from './yaml-tree.ts';

const REFERENCE = /os\.environ\/([A-Za-z_][A-Za-z0-9_]*)?/g;

/** True when the text names a variable, so that what it becomes may be secret and is never shown. */
export function refersToEnvironment(text: string): boolean {
  return text.includes('os.environ/');
}

/**
 * Puts the environment's values in the place of every `os.environ/NAME` in every string below `value`: the whole
 * string or a part of it, several times. A name that isn't set is a fault of the string's own place; what holds
 * it is left out of its mapping, and the result is undefined where that isn't possible.
 */
export function interpolate(
  value: YamlValue,
  path: Path,
  environment: Environment,
  report: Report,
): YamlValue | undefined {
  if (typeof value === 'string') return interpolateText(value, path, environment, report);
  if (Array.isArray(value)) {
    const items = value.map((item, index) => interpolate(item, [...path, index], environment, report));
    return items.includes(undefined) ? undefined : (items as YamlValue[]);
  }
  if (!isYamlObject(value)) return value;
  const result: Record<string, YamlValue> = Object.create(null);
  for (const [key, item] of Object.entries(value)) {
    const replaced = interpolate(item, [...path, key], environment, report);
    if (replaced !== undefined) result[key] = replaced;
  }
  return result;
}

function interpolateText(
  text: string,
  path: Path,
  environment: Environment,
  report: Report,
): string | undefined {
  const resolved = resolveReferences(text, environment);
  for (const problem of resolved.problems) report.fault(path, problem);
  return resolved.problems.length === 0 ? resolved.text : undefined;
}

/** The text with its references replaced, and what is wrong with those that can't be. */
export function resolveReferences(
  text: string,
  environment: Environment,
): { readonly text: string; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const replaced = text.replaceAll(REFERENCE, (_match, name: string | undefined) => {
    const value = name === undefined ? null : variable(environment, name);
    if (value === null) problems.push(problemOf(name, environment));
    return value ?? '';
  });
  return { text: replaced, problems };
}

function problemOf(name: string | undefined, environment: Environment): string {
  if (name === undefined) return "os.environ/ must be followed by a variable's name";
  const empty = Object.hasOwn(environment, name) && environment[name] === '';
  return `the environment variable ${name} is ${empty ? 'empty' : 'not set'}`;
}

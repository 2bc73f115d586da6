import type * as z from 'zod';
import type { Environment } from './environment.ts';
import { interpolate } from './interpolate.ts';
import { nearest } from './nearest.ts';
import type { Path, Report } from './report.ts';
import { isYamlObject, type YamlTree, type YamlValue } from './yaml-tree.ts';

/** The keys that are acted on, each with the type that turns its raw value into ours. */
export type Fields = Readonly<Record<string, z.ZodType>>;

/** One mapping of the file. A key that it doesn't name is a fault. */
export interface Section<F extends Fields> {
  readonly description: string;
  readonly used: F;
  readonly required: readonly (keyof F & string)[];
  /** Keys that are acted on and read by someone else: sections of their own. */
  readonly nested: readonly string[];
  /** Keys that LiteLLM knows and this version doesn't act on: a warning. */
  readonly ignored: readonly string[];
  /** Beginnings of such keys. */
  readonly ignoredPrefixes: readonly string[];
  /** For some of the ignored keys: what to write instead, or what it means that it is ignored. */
  readonly hints: Readonly<Record<string, string>>;
}

/** What was read of a section; a key that is absent, null or faulty isn't there. */
export type Values<F extends Fields> = { readonly [Name in keyof F]?: z.output<F[Name]> };

/** What every part of the reading needs. */
export interface Reading {
  readonly report: Report;
  /** The process's environment, completed by the file's `environment_variables`. */
  readonly environment: Environment;
  /** Of the sections' keys: where they belong, for messages about those that stand elsewhere. */
  readonly homes: ReadonlyMap<string, string>;
  /** The file as it is written: for messages, which must not show what a variable holds. */
  readonly tree: YamlTree;
}

/** The forks call LiteLLM's own settings by their own names: `dheera_ai_license`. */
const FORKS = ['litellm', 'remodl', 'dheera_ai'];

export function section<F extends Fields>(
  parts: Pick<Section<F>, 'description' | 'used'> & Partial<Section<F>>,
): Section<F> {
  const { ignored = [], ignoredPrefixes = [], ...rest } = parts;
  const inForks = (names: readonly string[]) =>
    names.flatMap((name) => [...new Set(FORKS.map((fork) => name.replace('litellm', fork)))]);
  return {
    required: [],
    nested: [],
    hints: {},
    ignored: inForks(ignored),
    ignoredPrefixes: inForks(ignoredPrefixes),
    ...rest,
  };
}

/** Reads a mapping key by key, so that one fault hides no other. A missing or null section is an empty one. */
export function readSection<F extends Fields>(
  definition: Section<F>,
  value: YamlValue | undefined,
  path: Path,
  reading: Reading,
): Values<F> {
  if (value === undefined || value === null) return {};
  if (!isYamlObject(value)) {
    reading.report.fault(path, `must be a mapping of keys to values, not ${describe(value)}`);
    return {};
  }
  const meant = new Set<string | null>();
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(definition.used, key)) meant.add(judgeUnused(definition, key, path, reading));
  }
  const result: Record<string, unknown> = {};
  for (const [key, type] of Object.entries(definition.used)) {
    const raw = Object.hasOwn(value, key) ? value[key] : undefined;
    if (raw === undefined || raw === null) continue;
    const resolved = interpolate(raw, [...path, key], reading.environment, reading.report);
    if (resolved === undefined) continue;
    warnOfShellVariables(raw, [...path, key], reading.report);
    const parsed = type.safeParse(resolved);
    if (parsed.success) result[key] = parsed.data;
    else reportIssues(parsed.error.issues, type, raw, [...path, key], reading.report);
  }
  for (const key of definition.required) {
    const missing = value[key] === undefined || value[key] === null;
    if (missing && !meant.has(key)) reading.report.fault(path, `has no ${key}`);
  }
  return result as Values<F>;
}

/** `${NAME}` is what a shell or docker-compose would replace, and nobody does here. */
function warnOfShellVariables(raw: YamlValue, path: Path, report: Report): void {
  const name = typeof raw === 'string' ? /\$\{([A-Za-z_]\w*)\}/.exec(raw)?.[1] : undefined;
  if (name !== undefined) {
    report.warn(path, `\${${name}} is not replaced; a variable is written os.environ/${name}`);
  }
  if (!isYamlObject(raw)) return;
  for (const [key, value] of Object.entries(raw)) warnOfShellVariables(value, [...path, key], report);
}

/** Warns of a key that is known and complains of one that isn't; returns the key that it was meant to be. */
function judgeUnused<F extends Fields>(
  definition: Section<F>,
  key: string,
  path: Path,
  { report, homes }: Reading,
): string | null {
  if (definition.nested.includes(key)) return null;
  const at = [...path, key];
  if (
    definition.ignored.includes(key) ||
    definition.ignoredPrefixes.some((prefix) => key.startsWith(prefix))
  ) {
    const hint = Object.hasOwn(definition.hints, key) ? `: ${definition.hints[key]}` : '';
    const group = at.map((step) => (typeof step === 'number' ? '[]' : step)).join('.');
    report.warnOfGroup(group, at, `known, but not acted on by this version${hint}`);
    return null;
  }
  const used = [...Object.keys(definition.used), ...definition.nested];
  const home = homes.get(key);
  const near = home === undefined ? nearest(key, [...used, ...definition.ignored]) : null;
  const remedy = near === null ? `known here are ${used.join(', ')}` : `did you mean ${near}?`;
  report.faultAtKey(
    at,
    home === undefined ? `unknown key; ${remedy}` : `unknown key here; it belongs to ${home}`,
  );
  return near;
}

/**
 * A field's message that begins with "must be" gets what stands there behind it, unless the field is a secret
 * (`writeOnly` in its metadata).
 */
function reportIssues(
  issues: readonly z.core.$ZodIssue[],
  type: z.ZodType,
  raw: YamlValue,
  path: Path,
  report: Report,
): void {
  const secret = type.meta()?.writeOnly === true;
  for (const issue of issues) {
    const steps = issue.path.filter((step) => typeof step !== 'symbol');
    const shown =
      secret || !issue.message.startsWith('must be') ? '' : `, not ${describe(valueAt(raw, steps))}`;
    report.fault([...path, ...steps], issue.message + shown);
  }
}

/** The value below `root` at `path`, if it is there. */
export function valueAt(root: YamlValue | undefined, path: Path): YamlValue | undefined {
  let value = root;
  for (const step of path) {
    if (Array.isArray(value) && typeof step === 'number') value = (value as readonly YamlValue[])[step];
    else if (isYamlObject(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** A raw value as a message shows it. */
export function describe(value: YamlValue | undefined): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (isYamlObject(value)) return 'a mapping';
  if (typeof value === 'string') return quote(value);
  return String(value);
}

/** A text of the file in quotes, shortened. */
export function quote(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 79)}…` : text;
  return JSON.stringify(shown);
}

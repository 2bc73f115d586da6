import { SluiceError } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import {
  CUSTOM_METHOD,
  EXECUTORS,
  GATEWAY_ARGUMENTS,
  INNER_RULES,
  JSON_LISTS,
  JUDGED_ARGUMENTS,
  LOADS_CODE,
  OPERATOR_ARGUMENTS,
  WHOLE_NAMES,
} from './argument-rules.ts';

export interface ServeArguments {
  /** `--tensor-parallel-size 2 --enable-prefix-caching` */
  readonly words: readonly string[];
  /** A secret must not stand on a command line, which every user of the machine can read. */
  readonly hfToken: string | null;
}

const NAME = /^[a-z][a-z0-9]*([_-][a-z0-9]+)*$/;
const MAX_NAME_CHARACTERS = 64;

const REFUSED: readonly string[] = [
  ...Object.keys(GATEWAY_ARGUMENTS),
  ...Object.keys(OPERATOR_ARGUMENTS),
  ...JUDGED_ARGUMENTS,
];

/**
 * Turns engine arguments into words of a command line: true → `--name`, false → `--no-name`, null → nothing, a list →
 * its items as words, a mapping → JSON. `allowed` names arguments that the operator lets through.
 * @throws SluiceError `invalid_request` that lists every argument that is refused, and why
 */
export function serveArguments(
  engine: Readonly<Record<string, Json>>,
  allowed: ReadonlySet<string>,
): ServeArguments {
  const faults: { readonly param: string; readonly message: string }[] = [];
  const words: string[] = [];
  const seen = new Set<string>();
  let hfToken: string | null = null;
  for (const [written, value] of Object.entries(engine)) {
    if (value === null) continue;
    const name = written.replaceAll('-', '_');
    const problem = seen.has(name) ? 'is given twice' : nameProblem(written, name, value, allowed);
    const result = problem ?? wordsOf(name, value, allowed);
    if (typeof result === 'string') faults.push({ param: `model_kwargs.${written}`, message: result });
    else if (name === 'hf_token') hfToken = String(value);
    else words.push(...result);
    seen.add(name);
  }
  const [first] = faults;
  if (first !== undefined) {
    const told = faults.map(({ param, message }) => `${param}: ${message}`).join('\n');
    throw new SluiceError('invalid_request', told, { param: first.param });
  }
  return { words, hfToken };
}

/**
 * The model as the first word behind `serve`.
 * @throws SluiceError `invalid_request`
 */
export function modelArgument(name: string): string {
  const problem =
    name.trim() === ''
      ? 'must be the name of a repository or a folder'
      : name.startsWith('-')
        ? 'must not begin with a dash: vLLM would take it for an option'
        : /\p{Cc}/u.test(name)
          ? 'has a control character in it'
          : null;
  if (problem !== null)
    throw new SluiceError('invalid_request', `model_name: ${problem}`, { param: 'model_name' });
  return name;
}

/** `--name value`, in the one spelling in which a value that begins with a dash is still a value. */
export function option(name: string, value: string): readonly string[] {
  const flag = `--${name.replaceAll('_', '-')}`;
  return value.startsWith('-') ? [`${flag}=${value}`] : [flag, value];
}

function nameProblem(
  written: string,
  name: string,
  value: Json,
  allowed: ReadonlySet<string>,
): string | null {
  if (!NAME.test(written) || written.length > MAX_NAME_CHARACTERS)
    return 'is no name of an argument: small letters, digits and underscores';
  const decided = own(GATEWAY_ARGUMENTS, name);
  if (decided !== null) return `can't be set: ${decided}`;
  const reaching = own(OPERATOR_ARGUMENTS, name) ?? (LOADS_CODE.test(name) ? 'loads code by its name' : null);
  if (reaching !== null && value !== false && !allowed.has(name)) return refusal(reaching, name);
  if (REFUSED.includes(name) || WHOLE_NAMES.has(name)) return null;
  // vLLM takes any beginning of a name for the name: `--middlew` would be `--middleware`.
  const whole = REFUSED.find((refused) => refused.startsWith(name));
  return whole === undefined ? null : `is short for ${whole}; write names in full`;
}

function refusal(why: string, name: string): string {
  return `is refused, since it ${why}; the operator may allow it with general_settings.vllm_allowed_arguments: [${name}]`;
}

/** The words; a text is what is wrong with the value. */
function wordsOf(name: string, value: Json, allowed: ReadonlySet<string>): readonly string[] | string {
  const problem = allowed.has(name) ? null : (judgedProblem(name, value) ?? innerProblem(name, value));
  if (problem !== null) return problem;
  const flag = name.replaceAll('_', '-');
  switch (typeof value) {
    case 'boolean':
      return [`--${value ? '' : 'no-'}${flag}`];
    case 'number':
      return option(name, String(value));
    case 'string':
      return value.includes('\0') ? 'has a NUL character in it' : option(name, value);
    default:
      if (!isList(value) || JSON_LISTS.has(name)) return option(name, JSON.stringify(value));
      return listWords(flag, value);
  }
}

function listWords(flag: string, list: readonly Json[]): readonly string[] | string {
  if (list.length === 0) return [];
  const words: string[] = [];
  for (const item of list) {
    if (item === null || typeof item === 'boolean') return 'has an item that is neither a text nor a number';
    const word = typeof item === 'object' ? JSON.stringify(item) : String(item);
    if (word.includes('\0')) return 'has a NUL character in it';
    if (typeof item === 'string' && word.startsWith('-'))
      return 'has an item that begins with a dash: vLLM would take it for an option';
    words.push(word);
  }
  return [`--${flag}`, ...words];
}

function judgedProblem(name: string, value: Json): string | null {
  switch (name) {
    case 'hf_token':
      if (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)) return null;
      return 'must be the token, a text; without one vLLM uses that of the gateway (HF_TOKEN)';
    case 'distributed_executor_backend':
      if (typeof value === 'string' && EXECUTORS.has(value)) return null;
      return `${refusal('loads code by its name', name)}; free are ${[...EXECUTORS].join(', ')}`;
    case 'spec_method':
      return typeof value === 'string' && CUSTOM_METHOD.test(value)
        ? refusal('loads code by its name', name)
        : null;
    case 'chat_template':
      // What vLLM itself goes by: a template has one of these, a path has none.
      if (typeof value === 'string' && /[{}\n]/.test(value)) return null;
      return `${refusal('reads a file', name)}; a template itself is free`;
    default:
      return null;
  }
}

/** What is wrong inside a mapping, also one that is written as a text, which vLLM parses. */
function innerProblem(name: string, value: Json): string | null {
  if (name === 'chat_template') return null;
  if (typeof value === 'string') {
    if (!/^\s*[{[]/.test(value)) return null;
    const parsed = parsedJson(value);
    return parsed === undefined
      ? 'begins like JSON and is none; write a mapping'
      : innerProblem(name, parsed);
  }
  if (value === null || typeof value !== 'object') return null;
  if (isList(value)) {
    for (const item of value) {
      const problem = innerProblem(name, item);
      if (problem !== null) return problem;
    }
    return null;
  }
  for (const [key, inner] of Object.entries(value)) {
    const rule = INNER_RULES.find((one) => one.key.test(key) && refuses(one.value, inner));
    if (rule !== undefined) return `${JSON.stringify(key)} in it ${refusal(rule.why, name)}`;
    const problem = innerProblem(name, inner);
    if (problem !== null) return problem;
  }
  return null;
}

function refuses(pattern: RegExp | null, value: Json): boolean {
  return value !== null && (pattern === null || pattern.test(String(value)));
}

function parsedJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function own(table: Readonly<Record<string, string>>, name: string): string | null {
  return Object.hasOwn(table, name) ? (table[name] ?? null) : null;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

import { command } from './command-field.ts';
import type { Limits } from './config.ts';
import { firstVariable } from './environment.ts';
import { count, oneOf, seconds, secondsFromZero, secret, textList } from './fields.ts';
import { headerValueProblem } from './headers.ts';
import {
  GENERAL_SETTINGS,
  GENERAL_SETTINGS_HINTS,
  GENERAL_SETTINGS_PREFIXES,
} from './known-general-settings.ts';
import type { Path } from './report.ts';
import { type Reading, section, type Values } from './section.ts';
import { TIMEOUT_FIELDS } from './timeouts.ts';

/** In this order; the names that the forks gave it. */
const MASTER_KEY_VARIABLES = [
  'SLUICE_MASTER_KEY',
  'LITELLM_MASTER_KEY',
  'REMODL_MASTER_KEY',
  'DHEERA_AI_MASTER_KEY',
] as const;

export const GENERAL = section({
  description: 'Settings of the server.',
  used: {
    master_key: secret({
      description: `The key that may do everything. Without one the server is open, and only listens on loopback. Default: the first that is set of ${MASTER_KEY_VARIABLES.join(', ')}.`,
    }),
    database_url: secret({
      description:
        'Where state is kept: sqlite:path, relative to the working directory, or a redis:// URL. Default: DATABASE_URL, else REDIS_URL or REDIS_HOST, else sluice.db in SLUICE_DATA_DIR, else in .sluice.',
    }),
    ...TIMEOUT_FIELDS,
    pass_through_request_timeout: seconds({
      description: 'timeout of pass_through_endpoints and of provider routes without a model.',
      default: 600,
    }),
    max_body_bytes: count({
      description: 'Bytes of a body that may be held before its model is known.',
      default: 67_108_864,
    }),
    max_header_bytes: count({ description: "Bytes of a request's head.", default: 32_768 }),
    max_headers: count({ description: "Number of a request's headers.", default: 256 }),
    header_timeout: seconds({ description: "Seconds for a request's head to arrive.", default: 15 }),
    body_timeout: seconds({ description: 'Seconds without a byte of a request body.', default: 60 }),
    max_connections: count({ description: 'Connections of clients at a time.', default: 10_000 }),
    drain_timeout: secondsFromZero({
      description: 'Seconds that running requests have to end when the server stops.',
      default: 60,
    }),
    upstream_client: oneOf(['http1', 'undici'], {
      description:
        'What speaks HTTP to upstreams: the own client, or undici, which keeps fewer details of the bytes.',
      default: 'http1',
    }),
    allowed_hosts: textList({
      description: 'Further host names under which a loopback server without master key may be called.',
    }),
    vllm_command: command({
      description:
        'The program that runs models of type vllm, `serve` and the rest are put behind it: a text that is split as a shell would, or a list of its words.',
      default: 'vllm',
    }),
    vllm_allowed_arguments: textList({
      description:
        'Arguments of vLLM that load code, read files or log prompts, and that configurations of models may have all the same: trust_remote_code, chat_template, worker_cls, …',
    }),
  },
  nested: ['pass_through_endpoints', 'tls'],
  ignored: GENERAL_SETTINGS,
  ignoredPrefixes: GENERAL_SETTINGS_PREFIXES,
  hints: GENERAL_SETTINGS_HINTS,
});

export const GENERAL_PATH: Path = ['general_settings'];

export type GeneralValues = Values<typeof GENERAL.used>;

export function limitsFrom(values: GeneralValues): Limits {
  return {
    maxBodyBytes: values.max_body_bytes ?? 64 * 1024 * 1024,
    maxHeaderBytes: values.max_header_bytes ?? 32 * 1024,
    maxHeaders: values.max_headers ?? 256,
    headerTimeoutMs: values.header_timeout ?? 15_000,
    bodyTimeoutMs: values.body_timeout ?? 60_000,
    maxConnections: values.max_connections ?? 10_000,
    drainTimeoutMs: values.drain_timeout ?? 60_000,
  };
}

/** Names as in model_kwargs, with underscores. */
export function vllmAllowedArgumentsFrom(values: GeneralValues, reading: Reading): readonly string[] {
  const names = values.vllm_allowed_arguments ?? [];
  for (const [index, name] of names.entries()) {
    if (/^[a-z][a-z0-9_]*$/.test(name)) continue;
    reading.report.fault(
      [...GENERAL_PATH, 'vllm_allowed_arguments', index],
      'must be the name of an argument as in model_kwargs, like trust_remote_code',
    );
  }
  return names;
}

/** Lower-case host names and addresses. */
export function allowedHostsFrom(values: GeneralValues, reading: Reading): readonly string[] {
  const hosts = values.allowed_hosts ?? [];
  for (const [index, host] of hosts.entries()) {
    if (/^(\[[\da-f:.]+\]|[\w.-]+)$/i.test(host)) continue;
    reading.report.fault(
      [...GENERAL_PATH, 'allowed_hosts', index],
      'must be the name of a host alone, like gateway.example.com, without scheme, port or path',
    );
  }
  return hosts.map((host) => host.toLowerCase());
}

/** The file's master key, else the environment's; null when there is none. */
export function masterKeyFrom(values: GeneralValues, reading: Reading): string | null {
  const { report } = reading;
  if (values.master_key !== undefined) {
    const problem = keyProblem(values.master_key);
    if (problem !== null) report.fault([...GENERAL_PATH, 'master_key'], problem);
    return values.master_key;
  }
  const found = firstVariable(reading.environment, MASTER_KEY_VARIABLES);
  const problem = found === null ? null : keyProblem(found.value);
  if (found !== null && problem !== null) report.faultOfVariable(found.name, problem);
  return found?.value ?? null;
}

function keyProblem(key: string): string | null {
  if (key === '') return 'must not be empty; remove it to run without a master key';
  if (/[^\x21-\x7e]/.test(key))
    return headerValueProblem(key) ?? 'has a space in it, which no client can send in a key';
  return null;
}

import type { Environment } from '../../base/config/environment.ts';

/*
 * What vLLM gets of the gateway's environment: all but secrets and the gateway's own settings. It can't be the other
 * way round: CUDA, NCCL, PyTorch, Hugging Face, Ray and the drivers below them read hundreds of variables.
 */

/** The gateway's settings, the addresses of its state, and what belongs to its process alone. */
const OWN_PREFIXES: readonly string[] = [
  'SLUICE_',
  'LITELLM_',
  'REMODL_',
  'DHEERA_AI_',
  'DATABASE_URL',
  'DIRECT_URL',
  'REDIS_',
  'LANGFUSE_',
  'NODE_',
  'NOTIFY_SOCKET',
  'LISTEN_',
  'WATCHDOG_',
  'npm_',
];

/** `COHERE_API_KEY`, `BRIA_API_TOKEN`, `AWS_SECRET_ACCESS_KEY`, `PGPASSWORD`; not `TOKENIZERS_PARALLELISM`. */
const SECRET_NAME =
  /(KEY|KEYS|TOKEN|TOKENS|SECRET|SECRETS|PASSWORD|PASSWD|PASSPHRASE|_PASS|_PWD|CREDENTIALS?|AUTH)$/i;
/** `OPENAI_API_KEY_2`, `STRIPE_KEY_LIVE`. */
const SECRET_WORD = /(^|_)(API_?KEY|KEY|SECRET|PASSWORD|CREDENTIALS?|DSN)(_|$)/i;

/** Shorter texts stand in other values by chance. */
const MIN_SECRET_LENGTH = 8;

/** Secrets that vLLM itself needs: to fetch models. */
const KEPT: ReadonlySet<string> = new Set(['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']);

/** `user:password@`, in whatever variable; proxies are kept: without them nothing can be fetched. */
const URL_CREDENTIALS = /^[a-z][a-z\d+.-]*:\/\/[^\s/@]+@/i;
const PROXY_NAME = /^(https?|all)_proxy$/i;

/**
 * The environment of a vLLM process; `additions` win.
 * @param secrets what the configuration holds: variables that it came from are kept back whatever their names
 */
export function childEnvironment(
  environment: Environment,
  additions: Readonly<Record<string, string>>,
  secrets: readonly string[] = [],
): Readonly<Record<string, string>> {
  const passed = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      isPassed(entry[0], entry[1]) &&
      (KEPT.has(entry[0]) || !isPartOf(secrets, entry[1])),
  );
  return { ...Object.fromEntries(passed), ...additions };
}

/** `Bearer sk-…` is made of a variable that holds `sk-…`. */
function isPartOf(secrets: readonly string[], value: string): boolean {
  return value.length >= MIN_SECRET_LENGTH && secrets.some((secret) => secret.includes(value));
}

function isPassed(name: string, value: string): boolean {
  if (KEPT.has(name)) return true;
  if (OWN_PREFIXES.some((prefix) => name.startsWith(prefix))) return false;
  if (SECRET_NAME.test(name) || SECRET_WORD.test(name)) return false;
  return PROXY_NAME.test(name) || !URL_CREDENTIALS.test(value);
}

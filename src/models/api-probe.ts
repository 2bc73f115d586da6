import { nearest } from '../base/config/nearest.ts';
import { SluiceError } from '../base/errors.ts';
import { type UpstreamClient, UpstreamFailure } from '../upstream/client.ts';
import { targetFrom } from '../upstream/origin.ts';
import { ask, textOf } from './exchange.ts';
import { isJsonObject, parseJson } from './json.ts';
import { messageOf } from './upstream-refusal.ts';

/** An API that is asked during a load. */
export interface ProbedApi {
  readonly client: UpstreamClient;
  readonly apiBase: string;
  /** The base was given through the API; see `UpstreamRequest.guarded`. */
  readonly guarded: boolean;
  /** Raw name-value pairs of the credential; empty: none. */
  readonly credential: readonly string[];
}

/** How long one question of a load may take; a server that is still loading may take it and never answer. */
export const PROBE_TIMEOUT_MS = 10_000;
const MAX_LIST_BYTES = 16 * 1024 * 1024;
const TIMEOUTS = {
  connectTimeoutMs: 5_000,
  firstByteTimeoutMs: PROBE_TIMEOUT_MS,
  idleTimeoutMs: PROBE_TIMEOUT_MS,
};

type AnswerProbe = Extract<Probe, { kind: 'answer' }>;

/** What came of one question. */
export type Probe =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly message: string | null;
      readonly text: string;
    }
  /** Nothing answers there, or not in time, as a server that starts. */
  | { readonly kind: 'silent'; readonly why: string }
  /** It can't work, now or later. */
  | { readonly kind: 'hopeless'; readonly why: string };

/**
 * Asks once.
 * @throws the reason of `signal`
 */
export async function probe(api: ProbedApi, endpoint: string, signal: AbortSignal): Promise<Probe> {
  const limit = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  const question = {
    method: 'GET' as const,
    apiBase: api.apiBase,
    guarded: api.guarded,
    endpoint,
    headers: ['Accept', 'application/json', ...api.credential],
    timeouts: TIMEOUTS,
  };
  try {
    const answer = await ask(api.client, question, AbortSignal.any([signal, limit]));
    const { status } = answer;
    if (status !== 200) return { kind: 'answer', status, message: await messageOf(answer), text: '' };
    const text = await textOf(answer, MAX_LIST_BYTES);
    return { kind: 'answer', status, message: null, text: text ?? '' };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof UpstreamFailure) return probeOfFailure(error, api);
    if (limit.aborted) return { kind: 'silent', why: `no answer within ${PROBE_TIMEOUT_MS / 1000} s` };
    throw error;
  }
}

function probeOfFailure(failure: UpstreamFailure, { apiBase }: ProbedApi): Probe {
  const { kind, message } = failure;
  // Whoever tells of silence tells of where, too.
  const why = message.replace(`${targetFrom(apiBase).origin.key}: `, '');
  switch (kind) {
    case 'connect':
      return codeOf(failure) === 'ENOTFOUND'
        ? { kind: 'hopeless', why: `there is no such host (${message})` }
        : { kind: 'silent', why };
    case 'tls':
      return { kind: 'hopeless', why: `TLS failed (${message})` };
    case 'forbidden_address':
      return { kind: 'hopeless', why: message };
    case 'connect_timeout':
    case 'first_byte_timeout':
    case 'idle_timeout':
    case 'reset':
    case 'protocol':
      return { kind: 'silent', why };
  }
}

function codeOf({ cause }: UpstreamFailure): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : null;
}

/**
 * Judges an answer to `GET /v1/models`.
 * @throws SluiceError `load_failed`: the credential is refused, there is no such list, the model is not in it
 */
export function requireModel(answer: AnswerProbe, api: ProbedApi, name: string): void {
  const { status } = answer;
  const said = words(answer, api);
  refuseCredential(answer, api);
  if (status === 404) throw failed(`${api.apiBase} has no /v1/models (404)${said}; is api_base right?`);
  if (status !== 200) throw failed(`${api.apiBase} answered ${status} to /v1/models${said}`);
  const ids = idsIn(answer.text);
  if (ids === null)
    throw failed(`${api.apiBase} answered /v1/models with something that is no list of models`);
  if (ids.includes(name)) return;
  throw failed(`${api.apiBase} has no model ${JSON.stringify(name)}; ${suggestion(name, ids)}`);
}

/** @throws SluiceError `load_failed` when the answer says that the credential is wrong or missing */
export function refuseCredential(answer: AnswerProbe, api: ProbedApi): void {
  const { status } = answer;
  if (status !== 401 && status !== 403) return;
  const remedy =
    api.credential.length === 0
      ? 'it wants one; give model_kwargs.api_key'
      : 'is model_kwargs.api_key right?';
  throw failed(`${api.apiBase} refused the credential (${status})${words(answer, api)}; ${remedy}`);
}

function words({ message }: AnswerProbe, api: ProbedApi): string {
  return message === null ? '' : `: ${withoutCredential(message, api)}`;
}

/** OpenAI's `{"data":[{"id"}]}`; a bare list of the same is what some compatible servers send. */
function idsIn(text: string): readonly string[] | null {
  const body = parseJson(text);
  const list: unknown = isJsonObject(body) ? body.data : body;
  if (!Array.isArray(list)) return null;
  const entries: readonly unknown[] = list;
  return entries.map((one) => (isJsonObject(one) ? one.id : null)).filter((id) => typeof id === 'string');
}

const SHOWN_MODELS = 10;

function suggestion(name: string, ids: readonly string[]): string {
  if (ids.length === 0) return 'it serves none';
  const near = nearest(name, ids);
  if (near !== null) return `did you mean ${JSON.stringify(near)}?`;
  const kin = ids.filter((id) => id.toLowerCase().includes(name.toLowerCase()));
  const shown = (kin.length > 0 ? kin : ids).slice(0, SHOWN_MODELS).join(', ');
  return `it serves ${shown}${ids.length > SHOWN_MODELS ? `, … (${ids.length} in all)` : ''}`;
}

/** Some APIs quote the key that they refuse. */
function withoutCredential(message: string, { credential }: ProbedApi): string {
  const key = credential[1]?.replace(/^Bearer /, '') ?? '';
  return key === '' ? message : message.replaceAll(key, '***');
}

export function failed(why: string): SluiceError {
  return new SluiceError('load_failed', `${why}.`.replace(/\?\.$/, '?'));
}

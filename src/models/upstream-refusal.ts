import { type Reason, SluiceError } from '../base/errors.ts';
import { type Answer, headerOf, textOf } from './exchange.ts';
import { isJsonObject, parseJson } from './json.ts';

const MAX_ERROR_BYTES = 64 * 1024;
const MAX_MESSAGE_CHARS = 2_000;

/** An upstream's own words about what went wrong; null where there are none. */
export async function messageOf(answer: Answer): Promise<string | null> {
  const text = await textOf(answer, MAX_ERROR_BYTES);
  return text === null || text.trim() === '' ? null : messageIn(text);
}

/** OpenAI's and vLLM's `{"error":{"message"}}`, vLLM's `{"error":"Unauthorized"}`, FastAPI's `{"detail"}`, or text. */
function messageIn(text: string): string | null {
  const body = parseJson(text);
  if (body === undefined) return /^\s*</.test(text) ? null : shortened(text.trim());
  return isJsonObject(body) ? errorMessage(body) : null;
}

/** The message within an error's body, or an event's that stands for one. */
export function errorMessage(body: Readonly<Record<string, unknown>>): string | null {
  const { error, detail, message } = body;
  const within = isJsonObject(error) ? error.message : error;
  const found = [within, detail, message].find((one) => typeof one === 'string' && one !== '');
  return typeof found === 'string' ? shortened(found) : null;
}

function shortened(text: string): string {
  return text.length > MAX_MESSAGE_CHARS ? `${text.slice(0, MAX_MESSAGE_CHARS)}…` : text;
}

/**
 * The refusal that a caller gets for an upstream's status. The upstream's words pass, but for what it says about the
 * gateway's own credential: that is no fault of the caller's, and may quote the key.
 */
export async function refusalFrom(answer: Answer, name: string): Promise<SluiceError> {
  const { status } = answer;
  const upstream = `The upstream ${JSON.stringify(name)}`;
  const said = await messageOf(answer).catch(() => null);
  if (status === 401 || status === 403) {
    return new SluiceError(
      'failed_precondition',
      `${upstream} refused the gateway's credential (${status}).`,
    );
  }
  const retryAfter = headerOf(answer, 'retry-after');
  const headers = retryAfter !== null && /^[\x20-\x7e]+$/.test(retryAfter) ? ['retry-after', retryAfter] : [];
  return new SluiceError(reasonOf(status), said ?? `${upstream} answered ${status}.`, { headers });
}

function reasonOf(status: number): Reason {
  switch (status) {
    case 404:
      return 'model_not_found';
    case 408:
    case 504:
      return 'upstream_timeout';
    case 413:
      return 'body_too_large';
    case 429:
      return 'upstream_rate_limited';
    default:
      return status >= 400 && status < 500 ? 'invalid_request' : 'upstream_broken';
  }
}

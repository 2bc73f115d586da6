import type { Logger } from 'pino';

/** What `--detailed_debug` shows of a request: heads as they go out and come in, credentials blotted out. */
export interface DetailLog {
  upstreamRequest(requestId: string, sent: SentHead): void;
  upstreamResponse(requestId: string, received: ReceivedHead): void;
}

export interface SentHead {
  readonly method: string;
  /** `http://host:port`. */
  readonly origin: string;
  /** With its query, whose values are blotted out. */
  readonly path: string;
  /** Raw name-value pairs. */
  readonly headers: readonly string[];
  /** Those among the headers that the configuration put there: whatever they are called, they may be secret. */
  readonly configured: readonly string[];
}

export interface ReceivedHead {
  readonly status: number;
  readonly reason: string;
  /** Raw name-value pairs. */
  readonly headers: readonly string[];
}

/** Null unless the logger shows debug lines, so that nobody else pays for it. */
export function createDetailLog(logger: Logger): DetailLog | null {
  if (!logger.isLevelEnabled('debug')) return null;
  return {
    upstreamRequest(request, { method, origin, path, headers, configured }) {
      const url = origin + path.replace(/=[^&]*/g, '=…');
      const secret = new Set(configured.filter((_, i) => i % 2 === 0));
      logger.debug({ request, method, url, headers: readable(headers, secret) }, 'to the upstream');
    },
    upstreamResponse(request, { status, reason, headers }) {
      logger.debug({ request, status, reason, headers: readable(headers, NONE) }, 'from the upstream');
    },
  };
}

/** Anything that may be a credential; a header too many blotted out does no harm. */
const SECRET = /auth|key|token|secret|cookie|password|session|signature/i;

const NONE: ReadonlySet<string> = new Set();

function readable(raw: readonly string[], secret: ReadonlySet<string>): string[] {
  const lines: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    lines.push(`${name}: ${SECRET.test(name) || secret.has(name) ? '…' : raw[i + 1]}`);
  }
  return lines;
}

import type { JsonValue } from '@bufbuild/protobuf';
import { accepts } from './rpc-headers.ts';

/** How the messages of a stream stand in a response body. */
export interface StreamFraming {
  readonly contentType: string;
  result(json: JsonValue): string;
  /** The last frame of a stream that failed; `error` as in a body of its own. */
  error(error: JsonValue): string;
}

/** Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html); JSON has no line ends. */
const SERVER_SENT_EVENTS: StreamFraming = {
  contentType: 'text/event-stream',
  result: (json) => `data: ${JSON.stringify(json)}\n\n`,
  error: (error) => `event: error\ndata: ${JSON.stringify({ error })}\n\n`,
};

/** A line each (https://github.com/ndjson/ndjson-spec). */
const LINES: StreamFraming = {
  contentType: 'application/x-ndjson',
  result: (result) => `${JSON.stringify({ result })}\n`,
  error: (error) => `${JSON.stringify({ error })}\n`,
};

/** Server-sent events for those who ask for them, lines for all others. */
export function framingFor(accept: string | null): StreamFraming {
  return accepts(accept, 'text/event-stream') ? SERVER_SENT_EVENTS : LINES;
}

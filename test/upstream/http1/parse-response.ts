import type { UpstreamHead } from '../../../src/upstream/client.ts';
import { ResponseParser } from '../../../src/upstream/http1/response-parser.ts';

/** What a parser made of some bytes; body pieces are joined, for where they are cut is the network's business. */
export interface Parsed {
  readonly head: UpstreamHead | null;
  readonly body: string;
  /** Null while the response is not complete. */
  readonly trailers: readonly string[] | null;
  /** Bytes behind a 101, null without one. */
  readonly switchedWith: string | null;
  readonly reusable: boolean;
  /** Name and message of what the parser threw, or null. */
  readonly error: string | null;
}

export interface ParseOptions {
  readonly method?: string;
  readonly mayUpgrade?: boolean;
  /** The peer closes behind the last byte. */
  readonly closed?: boolean;
}

/** Feeds `pieces` (latin1) to a fresh parser. */
export function parseResponse(pieces: readonly string[], options: ParseOptions = {}): Parsed {
  let head: UpstreamHead | null = null;
  let body = '';
  let trailers: readonly string[] | null = null;
  let switchedWith: string | null = null;
  let error: string | null = null;
  let reusable = false;
  const parser: ResponseParser = new ResponseParser({
    onHead: (found) => {
      head = found;
    },
    onBody: (bytes) => {
      body += bytes.toString('latin1');
    },
    onComplete: (found) => {
      trailers = found;
      // What a connection goes by: it is lent again in this very moment.
      reusable = parser.reusable;
    },
    onSwitch: (found, rest) => {
      head = found;
      switchedWith = rest.toString('latin1');
    },
  });
  parser.expect(options.method ?? 'GET', options.mayUpgrade ?? false);
  try {
    for (const piece of pieces) parser.execute(Buffer.from(piece, 'latin1'));
    if (options.closed ?? false) parser.finish();
  } catch (thrown) {
    error = String(thrown);
  }
  return { head, body, trailers, switchedWith, reusable, error };
}

/** `text` cut into two at every place, and into single bytes. */
export function* everySplit(text: string): Generator<string[]> {
  for (let at = 1; at < text.length; at++) yield [text.slice(0, at), text.slice(at)];
  yield [...text];
}

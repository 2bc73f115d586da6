import type { UpstreamBody } from '../upstream/client.ts';
import type { RequestBody } from './downstream.ts';
import type { ModelScanner } from './model-scanner.ts';
import type { Framing } from './request-headers.ts';

/** Bodies up to this size travel with the head in one write, so they are put together as text. */
const TEXT_BYTES = 16 * 1024;

export interface OutgoingBody {
  readonly body: UpstreamBody;
  readonly framing: Framing;
  /** What is there of a `stream` body already, to be written first. */
  readonly first: Buffer | null;
}

export interface OutgoingBodyOptions {
  /** How the client announced its body. */
  readonly announced: RequestBody;
  /** What has come of it. */
  readonly held: readonly Buffer[];
  /** Has scanned all of `held`; null when nothing in the body matters. */
  readonly scanner: ModelScanner | null;
  /** What takes the place of the model found; null: nothing does. */
  readonly upstreamModel: string | null;
}

const NO_BODY: OutgoingBody = { body: { kind: 'none' }, framing: { kind: 'none' }, first: null };

/** The body as it goes on: the model's name replaced, every other byte as it came, and its length corrected. */
export function outgoingBody(options: OutgoingBodyOptions): OutgoingBody {
  const { announced, held, scanner, upstreamModel } = options;
  if (announced.kind === 'none') return NO_BODY;
  const came = held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held);
  const span = upstreamModel === null ? null : (scanner?.found ?? null);
  const name = span === null || upstreamModel === null ? null : (scanner?.encode(upstreamModel) ?? null);
  const growth = span === null || name === null ? 0 : name.length - (span.end - span.start);
  if (announced.kind === 'length') {
    const length = announced.length + growth;
    const framing: Framing = { kind: 'length', length };
    if (came.length === announced.length && length <= TEXT_BYTES) {
      const text = came.toString('latin1');
      const latin1 =
        span === null || name === null
          ? text
          : text.slice(0, span.start) + name.toString('latin1') + text.slice(span.end);
      return { body: { kind: 'text', latin1 }, framing, first: null };
    }
    const bytes = spliced(came, span, name);
    if (bytes.length === length) return { body: { kind: 'whole', bytes }, framing, first: null };
    return { body: { kind: 'stream', length }, framing, first: bytes };
  }
  return {
    body: { kind: 'stream', length: null },
    framing: { kind: 'chunked' },
    first: spliced(came, span, name),
  };
}

function spliced(
  came: Buffer,
  span: { readonly start: number; readonly end: number } | null,
  name: Buffer | null,
): Buffer {
  if (span === null || name === null) return came;
  return Buffer.concat([came.subarray(0, span.start), name, came.subarray(span.end)]);
}

import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { onTestFinished } from 'vitest';
import type { Live, Question } from './ask.ts';
import { type Pairs, valuesOf } from './http1-message.ts';
import { Watch } from './watch.ts';

/** Duplicates of every header may be sent and received; what is not yet sent leaves room (MB) for a response. */
const OPTIONS = { strictSingleValueFields: false, maxHeaderListPairs: 300, maxSessionMemory: 200 };

/** What has no place in an HTTP/2 request (RFC 9113 §8.2.2). */
const CONNECTION_BOUND = /^(?:connection|keep-alive|proxy-connection|transfer-encoding|upgrade|host)$/i;

/** A connection of its own, for `openHttp2` to ask several things on. */
export function connectHttp2(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, OPTIONS);
  session.on('error', () => {});
  onTestFinished(() => void session.destroy());
  return session;
}

/** Asks on a connection, or on one of its own when it is given a port. */
export function openHttp2(on: number | ClientHttp2Session, question: Question): Live {
  const { method = 'GET', path, headers = [], body } = question;
  const watch = new Watch();
  const session = typeof on === 'number' ? connectHttp2(on) : on;
  const sent: string[] = [':method', method, ':path', path, ':scheme', 'http', ':authority', 'gateway.test'];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (CONNECTION_BOUND.test(name) || (/^te$/i.test(name) && value !== 'trailers')) continue;
    sent.push(name.toLowerCase(), value);
  }
  const chunked = Array.isArray(body);
  const whole = chunked || body === undefined ? null : Buffer.from(body as string);
  if (whole !== null && valuesOf(sent, 'content-length').length === 0)
    sent.push('content-length', String(whole.length));
  let trailers: Pairs = [];
  let status = 0;
  let received: Pairs = [];
  let receivedTrailers: Pairs = [];
  let clean = false;
  let closed = false;
  let bodyBytes = 0;
  const interim: number[] = [];
  const pieces: Buffer[] = [];
  const stream = session.request(sent as never, {
    endStream: body === undefined,
    waitForTrailers: body !== undefined,
  });
  stream.on('error', () => {});
  stream.on('wantTrailers', () => stream.sendTrailers(objectOf(trailers)));
  stream.on('headers', (fields) => {
    interim.push(Number(fields[':status']));
    watch.changed();
  });
  stream.on('response', (fields, _flags, raw) => {
    status = Number(fields[':status']);
    received = raw.filter((_, i) => !(raw[i - (i % 2)] as string).startsWith(':'));
    watch.changed();
  });
  stream.on('trailers', (_fields, _flags, raw) => {
    receivedTrailers = raw;
  });
  stream.on('data', (chunk: Buffer) => {
    pieces.push(chunk);
    bodyBytes += chunk.length;
    watch.changed();
  });
  stream.on('end', () => {
    clean = true;
  });
  stream.on('close', () => {
    closed = true;
    watch.changed();
    if (typeof on === 'number') session.close();
  });
  if (whole !== null) stream.end(whole);
  if (chunked) for (const chunk of body) stream.write(chunk);
  return {
    write: (chunk) => void stream.write(chunk),
    end(pairs = []) {
      trailers = pairs;
      stream.end();
    },
    leave: () => session.destroy(),
    vanish: () => stream.close(constants.NGHTTP2_CANCEL),
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    interim: (awaited) => watch.until(() => interim.includes(awaited) || closed),
    get unsentBytes() {
      return stream.writableLength;
    },
    async head() {
      await watch.until(() => status !== 0 || closed);
      return { status, headers: received };
    },
    async received(bytes) {
      await watch.until(() => bodyBytes >= bytes || closed);
      return Buffer.concat(pieces);
    },
    get bodyBytes() {
      return bodyBytes;
    },
    async answer() {
      await watch.until(() => closed);
      return {
        status,
        reason: '',
        headers: received,
        body: Buffer.concat(pieces),
        trailers: receivedTrailers,
        interim,
        whole: clean && stream.rstCode === constants.NGHTTP2_NO_ERROR,
        header: (name) => valuesOf(received, name).join(', ') || null,
      };
    },
  };
}

function objectOf(pairs: Pairs): Record<string, string> {
  return Object.fromEntries(
    pairs.flatMap((name, i) => (i % 2 === 0 ? [[name.toLowerCase(), pairs[i + 1] as string]] : [])),
  );
}

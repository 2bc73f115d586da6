import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { RequestSpec } from './exchange.ts';
import type { ClientView } from './raw-exchange.ts';
import { type Filling, requestParts } from './request-text.ts';
import type { Field, Message } from './wire.ts';

/** What HTTP/2 has no word for (RFC 9113 §8.2.2). */
const HTTP1_ONLY = /^(?:connection|keep-alive|upgrade|proxy-[a-z]+|http2-settings|te):/i;

/** The exchange can be asked for in HTTP/2. */
export function isHttp2Able({ fields = [], version, body }: RequestSpec): boolean {
  const trailers = typeof body === 'object' && 'chunks' in body ? (body.trailers ?? []) : [];
  return version !== '1.0' && ![...fields, ...trailers].some((line) => HTTP1_ONLY.test(line));
}

/** A client that lets everything through that the protocol has room for. */
export async function http2Client(url: string): Promise<ClientHttp2Session> {
  const options = { strictSingleValueFields: false, rejectUnauthorized: false, maxHeaderListPairs: 1_000 };
  const session = connect(url, options);
  await new Promise<void>((resolve, reject) => {
    session.once('connect', () => resolve());
    session.once('error', reject);
  });
  return session;
}

/** Sends one request on a stream of its own; the response is told as HTTP/1.1 would tell it, without a reason. */
export async function http2Exchange(
  session: ClientHttp2Session,
  spec: RequestSpec,
  filling: Filling,
): Promise<ClientView> {
  const { method, path, fields, body, trailers, chunked } = requestParts(spec, filling);
  const sent = fields
    .map(([name, value]): Field => [name.toLowerCase(), value])
    .filter(([name]) => name !== 'host' && name !== 'transfer-encoding');
  const hasBody = body.length > 0 || chunked;
  const stream = session.request(
    [':method', method, ':path', path, ':scheme', 'http', ':authority', filling.host, ...sent.flat()],
    { endStream: !hasBody, waitForTrailers: trailers.length > 0 },
  );
  const answer = answerOf(stream);
  if (hasBody) {
    if (sent.some(([name, value]) => name === 'expect' && /^100-continue$/i.test(value)))
      await new Promise((resolve) => stream.once('continue', resolve));
    stream.on('wantTrailers', () => stream.sendTrailers(grouped(trailers)));
    stream.end(body);
  }
  return answer;
}

function answerOf(stream: ClientHttp2Stream): Promise<ClientView> {
  return new Promise((resolve, reject) => {
    const interim: Message[] = [];
    const chunks: Buffer[] = [];
    let start = '';
    let fields: readonly Field[] = [];
    let trailers: readonly Field[] = [];
    stream.on('headers', (headers, _flags, raw) => {
      interim.push(message({ start: String(headers[':status']), fields: fieldsFrom(raw as string[]) }));
    });
    stream.on('response', (headers, _flags, raw) => {
      start = String(headers[':status']);
      fields = fieldsFrom(raw as string[]);
    });
    stream.on('trailers', (_headers, _flags, raw) => {
      trailers = fieldsFrom(raw as string[]);
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      if (stream.rstCode !== 0) reject(new Error(`the stream was reset with ${stream.rstCode}`));
      else resolve({ interim, response: message({ start, fields, trailers, body: Buffer.concat(chunks) }) });
    });
  });
}

function message(parts: Partial<Message> & { readonly start: string }): Message {
  return { fields: [], framing: 'none', body: Buffer.alloc(0), trailers: [], ...parts };
}

function fieldsFrom(raw: readonly string[]): Field[] {
  const fields: Field[] = [];
  for (let i = 0; i < raw.length; i += 2) fields.push([raw[i] as string, raw[i + 1] as string]);
  return fields.filter(([name]) => name !== ':status');
}

/** `sendTrailers` takes an object only. */
function grouped(fields: readonly Field[]): Record<string, string[]> {
  const out: Record<string, string[]> = {};
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    out[key] = [...(out[key] ?? []), value];
  }
  return out;
}

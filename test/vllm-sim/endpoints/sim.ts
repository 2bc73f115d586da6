import { setTimeout as delay } from 'node:timers/promises';
import { badRequest } from '../errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { Gone } from '../http/reply.ts';
import type { Route } from '../http/route.ts';

/** Not vLLM's: endpoints that show a test what arrived, or send exactly what it asks for. Any method will do. */
const ANY = [
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'QUERY',
  'PROPFIND',
  'REPORT',
  'LINK',
];

export const simRoutes: readonly Route[] = [
  { methods: ANY, path: '/sim/echo*', handle: echo },
  { methods: ANY, path: '/sim/bytes', handle: bytes },
];

/** What arrived, in JSON: `body` is base64. */
async function echo(exchange: Exchange): Promise<void> {
  const { request } = exchange;
  const body = await request.whole();
  await exchange.send(200, {
    method: request.method,
    url: request.url,
    httpVersion: request.httpVersion,
    rawHeaders: request.rawHeaders,
    body: body.toString('base64'),
    rawTrailers: request.rawTrailers,
  });
}

/**
 * A body of `length` bytes (letters a to z, over and over), with Content-Length, in writes of `chunk` bytes
 * (default 65,536) with `interval` ms between them; `length=inf` never ends and is chunked.
 */
async function bytes(exchange: Exchange): Promise<void> {
  const { query, reply } = exchange;
  const length = query.get('length') === 'inf' ? null : Number(query.get('length') ?? 1024);
  const chunk = Number(query.get('chunk') ?? 65_536);
  const interval = Number(query.get('interval') ?? 0);
  if (!(chunk > 0) || Number.isNaN(length)) throw badRequest('length and chunk must be numbers');
  const alphabet = Buffer.alloc(chunk + 26, 'abcdefghijklmnopqrstuvwxyz');
  await reply.head(200, ['content-type', 'application/octet-stream'], length);
  for (let sent = 0; length === null || sent < length; sent += chunk) {
    if (sent > 0 && interval > 0)
      await delay(interval, undefined, { signal: exchange.gone }).catch(() => {
        throw new Gone();
      });
    const size = length === null ? chunk : Math.min(chunk, length - sent);
    await reply.write(alphabet.subarray(sent % 26, (sent % 26) + size));
  }
  await reply.end();
}

import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { UpstreamRequest } from '../client.ts';

/** What undici writes itself, and refuses when it is given. */
const UNDICI_WRITES: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

/** The request in undici's words. */
export function dispatchOptions(
  request: UpstreamRequest,
  stream: Readable | null,
): Dispatcher.DispatchOptions {
  const headers: string[] = [];
  let protocol = 'websocket';
  for (let i = 0; i < request.headers.length; i += 2) {
    const name = request.headers[i] as string;
    const value = request.headers[i + 1] as string;
    const lowerCase = name.toLowerCase();
    if (lowerCase === 'upgrade') protocol = value;
    if (!UNDICI_WRITES.has(lowerCase)) headers.push(name, value);
  }
  const { body, method, path } = request;
  return {
    path,
    method,
    headers,
    body:
      body.kind === 'whole' ? body.bytes : body.kind === 'text' ? Buffer.from(body.latin1, 'latin1') : stream,
    ...(request.upgrade && { upgrade: protocol }),
  };
}

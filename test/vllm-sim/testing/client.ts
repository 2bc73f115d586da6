import { connect } from 'node:net';

/** POSTs JSON (a value, or text as it stands) and gives back status and parsed answer. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    redirect: 'manual',
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
}

export async function getJson(url: string) {
  return JSON.parse(await (await fetch(url)).text());
}

/** The data of each server-sent event, parsed; `[DONE]` stays text. */
export function eventsOf(text: string) {
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => event.replace(/^(event: .*\n)?data: /, ''))
    .map((data) => (data === '[DONE]' ? data : JSON.parse(data)));
}

export interface RawAnswer {
  readonly bytes: Buffer;
  /** Whether the connection ended in a FIN or a reset. */
  readonly end: 'fin' | 'reset';
}

/** Sends bytes on a fresh connection and reads until the other side has closed it. */
export function rawExchange(port: number, request: string): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1' });
    const finish = (end: 'fin' | 'reset') => {
      socket.destroy();
      resolve({ bytes: Buffer.concat(chunks), end });
    };
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => finish('fin'));
    socket.on('error', () => finish('reset'));
    socket.write(request);
  });
}

/** A GET as raw text, with one connection to itself. */
export function rawGet(path: string, ...headers: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: sim', ...headers, '', ''].join('\r\n');
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type ClientHttp2Session,
  connect,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import { afterEach } from 'vitest';
import type { Limits } from '../../src/base/config/config.ts';
import type { SluiceError } from '../../src/base/errors.ts';
import { openPort, type Port, type PortOptions } from '../../src/server/port.ts';
import type { PortHandlers } from '../../src/server/port-handlers.ts';

export type AnyRequest = IncomingMessage | Http2ServerRequest;
export type AnyResponse = ServerResponse | Http2ServerResponse;

const LIMITS: Limits = {
  maxBodyBytes: 1024 * 1024,
  maxHeaderBytes: 8 * 1024,
  maxHeaders: 32,
  headerTimeoutMs: 5_000,
  bodyTimeoutMs: 5_000,
  maxConnections: 1_000,
  drainTimeoutMs: 1_000,
};

export interface TestPort extends Port {
  /** What the port reported, in order. */
  readonly reported: readonly SluiceError[];
}

export interface TestPortOptions extends Partial<Omit<PortOptions, 'limits' | 'handlers'>> {
  readonly limits?: Partial<Limits>;
  readonly handlers?: Partial<PortHandlers>;
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A port on loopback, closed after the test; its requests are answered by `tellBack` unless told otherwise. */
export async function openTestPort(options: TestPortOptions = {}): Promise<TestPort> {
  const reported: SluiceError[] = [];
  const port = await openPort({
    host: '127.0.0.1',
    port: 0,
    tls: null,
    ...options,
    limits: { ...LIMITS, ...options.limits },
    handlers: {
      request: tellBack,
      upgrade: (_req, socket) => socket.end(),
      tunnel: (_req, res) => res.end(),
      report: (error) => reported.push(error),
      ...options.handlers,
    },
  });
  cleanups.push(() => port.close());
  return Object.defineProperties(Object.assign({ reported }, port), Object.getOwnPropertyDescriptors(port));
}

/** Answers with the request's method, target and body. */
export function tellBack(req: AnyRequest, res: AnyResponse): void {
  let body = '';
  req.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1');
  });
  req.on('end', () => res.end(`${req.method} ${req.url} ${body}`));
}

/** An h2c client with prior knowledge, closed after the test. */
export function openHttp2(port: Port): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port.address.port}`);
  session.on('error', () => {});
  cleanups.push(() => session.destroy());
  return session;
}

export interface Http2Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

/** One request on `session`; rejects when its stream is broken. */
export function ask(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  body?: string,
): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    let answer: Record<string, unknown> = {};
    let text = '';
    stream.on('response', (got) => {
      answer = got;
    });
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    stream.on('error', reject);
    stream.on('aborted', () => reject(new Error('aborted')));
    stream.on('close', () => resolve({ status: Number(answer[':status']), headers: answer, body: text }));
    if (body !== undefined) stream.end(body);
  });
}

/** A raw HTTP/1.1 GET with `Host` and the given header lines. */
export function get(path: string, ...lines: string[]): string {
  return `GET ${path} HTTP/1.1\r\nHost: test\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}

/** The bodies and statuses of raw HTTP/1.1 responses with Content-Length. */
export function parseResponses(text: string): { status: number; head: string; body: string }[] {
  const responses: { status: number; head: string; body: string }[] = [];
  let rest = text;
  while (rest.startsWith('HTTP/1.1 ')) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) break;
    const head = rest.slice(0, end);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    responses.push({ status: Number(head.slice(9, 12)), head, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return responses;
}

/** The `error.code` of an envelope. */
export function codeOf(body: string): string {
  return (JSON.parse(body) as { error: { code: string } }).error.code;
}

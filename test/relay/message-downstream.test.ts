import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import type { RequestBody } from '../../src/relay/downstream.ts';
import {
  MessageDownstream,
  type MessageDownstreamOptions,
  type RequestPart,
  type ResponsePart,
} from '../../src/relay/message-downstream.ts';

const KIB = 1024;

/** A client that says its parts when it is asked, and counts how often it is. */
class FakeParts {
  asked = 0;
  readonly #ready: (RequestPart | Error)[];
  #waiting: { resolve(part: RequestPart): void; reject(reason: unknown): void } | null = null;

  constructor(...parts: readonly (RequestPart | Error)[]) {
    this.#ready = [...parts];
  }

  next(): Promise<RequestPart> {
    this.asked++;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#settle();
    });
  }

  say(part: RequestPart | Error): void {
    this.#ready.push(part);
    this.#settle();
  }

  #settle(): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    const part = this.#ready.shift();
    if (part === undefined) return;
    this.#waiting = null;
    if (part instanceof Error) waiting.reject(part);
    else waiting.resolve(part);
  }
}

/** The relay's side, with all that it was told. */
class FakeRelay {
  readonly told: string[] = [];
  /** What it does when a chunk comes. */
  onChunk = (): void => {};

  onBodyData(chunk: Buffer): void {
    this.told.push(chunk.toString());
    this.onChunk();
  }
  onBodyEnd(trailers: readonly string[]): void {
    this.told.push(`end ${trailers.join()}`);
  }
  onBodyFault(fault: SluiceError): void {
    this.told.push(fault.reason);
  }
  onClientGone(): void {
    this.told.push('gone');
  }
  onClientDrain(): void {
    this.told.push('drain');
  }
}

interface Subject {
  readonly downstream: MessageDownstream;
  readonly relay: FakeRelay;
  readonly parts: FakeParts;
}

function subject(options: Partial<MessageDownstreamOptions> & { readonly parts?: FakeParts } = {}): Subject {
  const parts = options.parts ?? new FakeParts();
  const body: RequestBody = { kind: 'unknown_length' };
  const downstream = new MessageDownstream({
    ...{ method: 'POST', headers: ['A', 'b'], callHeaders: [], body },
    ...options,
    parts,
  });
  const relay = new FakeRelay();
  downstream.listener = relay;
  return { downstream, relay, parts };
}

function text(said: string): RequestPart {
  return { kind: 'chunk', bytes: Buffer.from(said) };
}

const END: RequestPart = { kind: 'end' };

/** Lets all that is due happen. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function rest(downstream: MessageDownstream): Promise<ResponsePart[]> {
  const all: ResponsePart[] = [];
  for (let part = await downstream.next(); part !== null; part = await downstream.next()) all.push(part);
  return all;
}

function sizes(parts: readonly ResponsePart[]): number[] {
  return parts.flatMap((part) => (part.kind === 'chunk' ? [part.bytes.length] : []));
}

describe('the request of an exchange in messages', () => {
  test('is not read before it is asked for', async () => {
    const { parts } = subject({ parts: new FakeParts(text('a')) });
    await settled();
    expect(parts.asked).toBe(0);
  });

  test('is pulled one message at a time, and not while the upstream is behind', async () => {
    const { downstream, relay, parts } = subject({
      parts: new FakeParts(text('a'), text('b'), text('c'), END),
    });
    relay.onChunk = () => downstream.pauseBody();
    downstream.readBody(relay);
    for (const letter of ['a', 'b', 'c']) {
      await settled();
      expect(relay.told.at(-1)).toBe(letter);
      expect(parts.asked).toBe(relay.told.length);
      downstream.resumeBody();
    }
    await settled();
    expect(relay.told).toEqual(['a', 'b', 'c', 'end ']);
  });

  test('keeps the message that was on its way when the upstream fell behind', async () => {
    const { downstream, relay, parts } = subject();
    downstream.readBody(relay);
    await settled();
    downstream.pauseBody();
    parts.say(text('a'));
    await settled();
    expect(relay.told).toEqual([]);
    downstream.resumeBody();
    await settled();
    expect(relay.told).toEqual(['a']);
  });

  test('ends with the last byte of a known length', async () => {
    const parts = new FakeParts(text('he'), text('llo'));
    const { downstream, relay } = subject({ parts, body: { kind: 'length', length: 5 } });
    downstream.readBody(relay);
    await settled();
    expect(relay.told).toEqual(['he', 'llo', 'end ']);
  });

  test('ends at once when its length is none', () => {
    const { downstream, relay } = subject({ body: { kind: 'length', length: 0 } });
    downstream.readBody(relay);
    expect(relay.told).toEqual(['end ']);
  });

  test('is a fault when more or less comes than announced, and the call fails with it', async () => {
    for (const said of [[text('hello!')], [text('hell'), END], [text('hello'), text('!')]]) {
      const parts = new FakeParts(...said);
      const { downstream, relay } = subject({ parts, body: { kind: 'length', length: 5 } });
      downstream.writeHead(200, 'OK', []);
      downstream.readBody(relay);
      await settled();
      expect(relay.told.at(-1)).toBe('invalid_request');
      await expect(downstream.next()).rejects.toMatchObject({ reason: 'invalid_request' });
    }
  });

  test('is given up when the client has left', async () => {
    const { downstream, relay } = subject({ parts: new FakeParts(text('a'), new Error('reset')) });
    downstream.readBody(relay);
    await settled();
    expect(relay.told).toEqual(['a', 'gone']);
    await expect(downstream.next()).rejects.toThrow('reset');
  });

  test('is not read any further once the response is complete', async () => {
    const { downstream, relay, parts } = subject();
    downstream.readBody(relay);
    await settled();
    downstream.respond(200, 'OK', [], Buffer.alloc(0));
    parts.say(text('late'));
    await settled();
    expect([relay.told, parts.asked]).toEqual([[], 1]);
  });

  test('lets go of a wait for the upstream when the response is complete', async () => {
    const { downstream, relay, parts } = subject({ parts: new FakeParts(text('a'), text('b')) });
    relay.onChunk = () => downstream.pauseBody();
    downstream.readBody(relay);
    await settled();
    downstream.end([]);
    await settled();
    expect([relay.told, parts.asked]).toEqual([['a'], 1]);
  });
});

describe('the response of an exchange in messages', () => {
  test('comes in its order, and is over behind the trailers', async () => {
    const { downstream } = subject();
    downstream.writeHead(200, 'Fine', ['Date', 'today', 'X', 'y']);
    downstream.write(Buffer.from('hello'));
    downstream.end(['T', 'u']);
    expect(await rest(downstream)).toEqual([
      { kind: 'head', status: 200, reason: 'Fine', headers: ['Date', 'today', 'X', 'y'] },
      { kind: 'chunk', bytes: Buffer.from('hello') },
      { kind: 'trailers', headers: ['T', 'u'] },
    ]);
    expect(await downstream.next()).toBe(null);
    expect([downstream.headSent, downstream.bytesOut]).toEqual([true, 5]);
  });

  test('gets a Date where it has none', async () => {
    const { downstream } = subject();
    downstream.writeHead(200, 'OK', ['X', 'y']);
    const head = await downstream.next();
    const headers = head?.kind === 'head' ? head.headers : [];
    expect(headers.slice(0, 3)).toEqual(['X', 'y', 'Date']);
    expect(Math.abs(Date.parse(headers[3] ?? '') - Date.now())).toBeLessThan(60_000);
  });

  test('wakes the reader who waits for it', async () => {
    const { downstream } = subject();
    const next = downstream.next();
    await settled();
    downstream.writeHead(204, '', []);
    expect(await next).toMatchObject({ kind: 'head', status: 204 });
    const end = downstream.next();
    await settled();
    downstream.end([]);
    expect(await end).toBe(null);
  });

  test('may be written from a buffer that is used again', async () => {
    const { downstream } = subject();
    const buffer = Buffer.from('one');
    downstream.write(buffer);
    buffer.write('two');
    expect(await downstream.next()).toEqual({ kind: 'chunk', bytes: Buffer.from('one') });
  });

  test('is cut at 16 KiB', async () => {
    const { downstream } = subject();
    const bytes = Buffer.from(Array.from({ length: 40 * KIB }, (_, i) => i % 251));
    downstream.write(bytes);
    downstream.end([]);
    const parts = await rest(downstream);
    expect(sizes(parts)).toEqual([16 * KIB, 16 * KIB, 8 * KIB]);
    expect(Buffer.concat(parts.flatMap((part) => (part.kind === 'chunk' ? [part.bytes] : [])))).toEqual(
      bytes,
    );
  });

  test('joins small pieces that had to wait, as far as 16 KiB', async () => {
    const { downstream } = subject();
    for (let i = 0; i < 5; i++) downstream.write(Buffer.alloc(5 * KIB));
    downstream.end([]);
    expect(sizes(await rest(downstream))).toEqual([15 * KIB, 10 * KIB]);
  });

  test('makes the upstream wait at 64 KiB or 32 pieces, and go on when most are gone', async () => {
    for (const [size, count] of [
      [8 * KIB, 8],
      [1, 32],
    ] as const) {
      const { downstream, relay } = subject();
      const taken = Array.from({ length: count }, () => downstream.write(Buffer.alloc(size)));
      expect(taken).toEqual([...Array.from({ length: count - 1 }, () => true), false]);
      while (relay.told.length === 0) await downstream.next();
      expect(relay.told).toEqual(['drain']);
      expect(downstream.write(Buffer.alloc(1))).toBe(true);
    }
  });

  test('breaks off behind what came', async () => {
    const { downstream } = subject();
    downstream.writeHead(200, 'OK', []);
    downstream.write(Buffer.from('half'));
    downstream.break();
    expect((await downstream.next())?.kind).toBe('head');
    expect((await downstream.next())?.kind).toBe('chunk');
    await expect(downstream.next()).rejects.toMatchObject({ reason: 'upstream_broken' });
  });

  test('is dropped when the client leaves, and the relay is told once', async () => {
    const { downstream, relay } = subject();
    downstream.writeHead(200, 'OK', []);
    downstream.write(Buffer.from('unread'));
    const reason = new SluiceError('client_closed', 'left');
    downstream.leave(reason);
    downstream.leave(new Error('again'));
    expect(relay.told).toEqual(['gone']);
    await expect(downstream.next()).rejects.toBe(reason);
    expect(downstream.write(Buffer.from('late'))).toBe(true);
    downstream.end([]);
    await expect(downstream.next()).rejects.toBe(reason);
  });

  test('has no body for HEAD', async () => {
    const { downstream } = subject({ method: 'HEAD' });
    downstream.respond(404, 'Not Found', ['Content-Length', '4'], Buffer.from('gone'));
    expect((await rest(downstream)).map(({ kind }) => kind)).toEqual(['head']);
    expect(downstream.bytesOut).toBe(0);
  });
});

import { createHash } from 'node:crypto';
import { status as grpc } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { type ScriptedUpstream, startUpstream, type UpstreamExchange } from '../helpers/scripted-upstream.ts';
import {
  chunk,
  collect,
  connectClient,
  type ForwardFixture,
  head,
  LiveCall,
  messages,
  startForward,
} from './forward-fixture.ts';

const TOTAL = 32 * 1024 * 1024;
/** Kernel buffers of both hops (tcp_rmem and tcp_wmem grow to 6 and 4 MiB), HTTP/2 windows, and what we may hold. */
const HELD_AT_MOST = 16 * 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, 'abcdefgh');
const MESSAGE = chunk(Buffer.alloc(16 * 1024, 'abcdefgh'));

interface House extends ForwardFixture {
  readonly upstream: ScriptedUpstream;
}

async function house(): Promise<House> {
  const [upstream, other] = await Promise.all([
    startUpstream(() => {}, { runs: 'at the head' }),
    startUpstream(),
  ]);
  const fixture = await startForward(`
general_settings:
  pass_through_endpoints: [{path: /r, target: "${upstream.url}"}, {path: /other, target: "${other.url}"}]
`);
  return { ...fixture, upstream };
}

/** Lets the house do what it does: so many exchanges, one after the other, on the same loop. */
async function pass(fixture: ForwardFixture, exchanges = 40): Promise<void> {
  const client = connectClient(fixture);
  for (let i = 0; i < exchanges; i++) await collect(client.forward(messages(head('GET', '/other'))));
}

/** Writes as fast as it is taken; returns how much has been taken so far. */
function pour({ socket }: UpstreamExchange): () => number {
  let written = 0;
  const more = (): void => {
    while (written < TOTAL) {
      written += PIECE.length;
      if (!socket.write(PIECE)) return;
    }
  };
  socket.on('drain', more);
  more();
  return () => written - socket.writableLength;
}

function sha(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

const WHOLE = sha(Buffer.alloc(TOTAL, 'abcdefgh'));

describe('Forward', () => {
  test('makes the upstream wait for a slow reader, who gets every byte', async () => {
    const { upstream, ...fixture } = await house();
    const call = new LiveCall(fixture).send(head('GET', '/r')).halfClose();
    const seen = await upstream.next();
    seen.send(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
    await call.until(({ status }) => status === 200);
    call.pause();
    const written = pour(seen);
    await pass(fixture);
    expect(written()).toBeLessThan(HELD_AT_MOST);
    const taken = written();
    await pass(fixture, 10);
    expect(written()).toBe(taken);
    call.resume();
    expect((await call.status()).code).toBe(grpc.OK);
    expect(sha(call.answer.body)).toBe(WHOLE);
  });

  test('makes the client wait for a slow upstream, which gets every byte', async () => {
    const { upstream, ...fixture } = await house();
    const call = new LiveCall(fixture).send(head('POST', '/r'), chunk('start'));
    const seen = await upstream.next();
    await seen.until(() => seen.bodyBytes === 5);
    seen.socket.pause();
    const count = TOTAL / (16 * 1024);
    for (let i = 0; i < count; i++) call.send(MESSAGE);
    call.halfClose();
    await pass(fixture);
    expect((count - call.unsent) * 16 * 1024).toBeLessThan(HELD_AT_MOST);
    seen.socket.resume();
    await seen.until(() => seen.complete);
    expect(sha(seen.body.subarray(5))).toBe(WHOLE);
    seen.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    expect((await call.status()).code).toBe(grpc.OK);
  });
});

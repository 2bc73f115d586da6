import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Http1Client } from '../../../src/upstream/http1/http1-client.ts';
import { send, settled } from '../contract/recorder.ts';
import { answering, scriptedUpstream } from '../contract/scripted-upstream.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

// The clock is faked before the first connection, which starts the sweep of the time limits.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterAll(() => {
  vi.useRealTimers();
});

function client(): Http1Client {
  const created = new Http1Client();
  onTestFinished(() => created.close());
  return created;
}

describe('idle connections', () => {
  test('are given up after four seconds, before uvicorn would after five', async () => {
    const upstream = await answering(ANSWER);
    const subject = client();
    await send(subject, upstream.origin).recorder.ended();
    vi.advanceTimersByTime(3_900);
    expect(subject.idleCount(upstream.origin)).toBe(1);
    await send(subject, upstream.origin).recorder.ended();
    expect(upstream.peers.length).toBe(1);
    vi.advanceTimersByTime(3_900);
    expect(subject.idleCount(upstream.origin)).toBe(1);
    vi.advanceTimersByTime(200);
    await upstream.peers[0]?.gone;
    await settled();
    expect(subject.idleCount(upstream.origin)).toBe(0);
  });

  test('are given up a second before the peer would, but never kept longer than four', async () => {
    for (const [seconds, keptMs] of [
      [3, 2_000],
      [60, 4_000],
    ] as const) {
      const upstream = await answering(
        `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=${seconds}\r\nContent-Length: 2\r\n\r\nhi`,
      );
      const subject = client();
      await send(subject, upstream.origin).recorder.ended();
      vi.advanceTimersByTime(keptMs - 100);
      expect(subject.idleCount(upstream.origin)).toBe(1);
      vi.advanceTimersByTime(200);
      await upstream.peers[0]?.gone;
    }
  });

  test('lend the one used last first, so that the others can go', async () => {
    const upstream = await scriptedUpstream(async (peer) => {
      for (;;) {
        const path = (await peer.readRequest()).split(' ')[1];
        peer.write(`HTTP/1.1 200 OK\r\nX-Peer: ${peer.index}\r\nContent-Length: 2\r\n\r\n`);
        if (path === '/both') while (upstream.peers.length < 2) await settled();
        peer.write('hi');
      }
    });
    const subject = client();
    const both = [
      send(subject, upstream.origin, { path: '/both' }),
      send(subject, upstream.origin, { path: '/both' }),
    ];
    for (const { recorder } of both) await recorder.ended();
    expect(subject.idleCount(upstream.origin)).toBe(2);
    const used: (string | undefined)[] = [];
    for (let round = 0; round < 3; round++) {
      used.push((await send(subject, upstream.origin).recorder.ended()).head?.headers[1]);
    }
    expect(new Set(used).size).toBe(1);
  });

  test('are not shared between origins', async () => {
    const [one, two] = [await answering(ANSWER), await answering(ANSWER)];
    const subject = client();
    await send(subject, one.origin).recorder.ended();
    await send(subject, two.origin).recorder.ended();
    expect([subject.idleCount(one.origin), subject.idleCount(two.origin)]).toEqual([1, 1]);
  });

  test('are forgotten at once by close(), and no new ones kept', async () => {
    const upstream = await answering(ANSWER);
    const subject = client();
    await send(subject, upstream.origin).recorder.ended();
    subject.close();
    await upstream.peers[0]?.gone;
    await settled();
    expect(subject.idleCount(upstream.origin)).toBe(0);
    await send(subject, upstream.origin).recorder.ended();
    expect(subject.idleCount(upstream.origin)).toBe(0);
  });
});

describe('a small answer', () => {
  test('is said to be more than its head when its body came along', async () => {
    const upstream = await answering(ANSWER);
    expect((await send(client(), upstream.origin).recorder.ended()).more).toBe(true);
  });

  test('is not said to be more when the head came alone', async () => {
    const upstream = await scriptedUpstream(async (peer) => {
      await peer.readRequest();
      peer.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2');
      await recorder.when(({ head }) => head !== null);
      peer.write('\r\nhi\r\n0\r\n\r\n');
    });
    const { recorder } = send(client(), upstream.origin);
    expect((await recorder.ended()).more).toBe(false);
  });
});

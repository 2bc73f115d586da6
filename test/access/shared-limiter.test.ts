import { describe, expect, onTestFinished, test } from 'vitest';
import type { Limiter } from '../../src/access/limiter.ts';
import { createMemoryLimiter, type MemoryLimiter } from '../../src/access/memory-limiter.ts';
import { serveLimiter } from '../../src/access/serve-limiter.ts';
import { createSharedLimiter } from '../../src/access/shared-limiter.ts';
import { settled } from '../models/fake-clock.ts';
import { type ChannelPair, channelPair } from './channel-pair.ts';
import { limiterContract } from './limiter-contract.ts';
import { attempt, FakeLimiterClock, type LimiterHouse, limitedKey, NOTHING_USED } from './limiter-house.ts';
import { SpendBook } from './spend-book.ts';

interface Shared {
  readonly clock: FakeLimiterClock;
  readonly book: SpendBook;
  readonly memory: MemoryLimiter;
  readonly limiters: readonly [Limiter, Limiter];
  readonly channels: readonly [ChannelPair, ChannelPair];
  /** Resolves when all that was sent has arrived and is answered. */
  arrived(): Promise<void>;
}

function openShared(): Shared {
  const clock = new FakeLimiterClock();
  const book = new SpendBook();
  const memory = createMemoryLimiter({ store: book, logger: book.logger, clock });
  onTestFinished(() => memory.close());
  const connect = () => {
    const pair = channelPair();
    serveLimiter(memory, pair.ends[0]);
    return { pair, limiter: createSharedLimiter({ channel: pair.ends[1], clock }) };
  };
  const [one, two] = [connect(), connect()];
  return {
    clock,
    book,
    memory,
    limiters: [one.limiter, two.limiter],
    channels: [one.pair, two.pair],
    async arrived() {
      for (let turn = 0; turn < 4; turn++) await settled();
    },
  };
}

async function openHouse(): Promise<LimiterHouse> {
  const { clock, book, memory, limiters, channels, arrived } = openShared();
  return {
    limiters,
    add: async () => {},
    advance: (milliseconds) => clock.advance(milliseconds),
    wallNow: () => clock.wall(),
    arrived,
    async spentUsd(id) {
      for (const limiter of limiters) await limiter.close();
      for (const channel of channels) channel.close();
      await memory.close();
      return book.usd(id);
    },
  };
}

limiterContract('shared between processes', { open: openHouse, runs: 30 });

describe('shared between processes: messages', () => {
  test('one carries all takes of a turn, and each key once', async () => {
    const { limiters, channels, arrived } = openShared();
    const [one, two] = [
      limitedKey({ rpmLimit: 100 }),
      limitedKey({ tpmLimit: 5, metadata: { secret: 'x' } }),
    ];
    const grants = await Promise.all(
      Array.from({ length: 60 }, (_, index) => limiters[0].take(index % 2 === 0 ? one : two)),
    );
    expect(channels[0].messages).toHaveLength(2);
    expect(channels[0].messages[0]).toMatchObject({ keys: [{ id: one.id }, { id: two.id }] });
    expect(JSON.stringify(channels[0].messages)).not.toContain('secret');
    expect(JSON.stringify(channels[0].messages)).not.toContain(one.token);
    for (const grant of grants) grant.settle(NOTHING_USED);
    await arrived();
    expect(channels[0].messages).toHaveLength(3);
  });

  test('none is needed for a key without limits; what it spends goes in batches', async () => {
    const { limiters, channels, clock, book } = openShared();
    const key = limitedKey({});
    for (let i = 0; i < 50; i++) {
      const grant = limiters[0].take(key);
      expect(grant).not.toBeInstanceOf(Promise);
      if (!(grant instanceof Promise)) grant.settle({ tokens: 5, costUsd: i % 2 });
    }
    await settled();
    expect(channels[0].messages).toEqual([]);
    await clock.advance(100);
    expect(channels[0].messages).toHaveLength(1);
    await clock.advance(250);
    expect(book.usd(key.id)).toBe(25);
  });
});

describe('shared between processes: one that ends', () => {
  test('gives back the slots that it held, and keeps its counts', async () => {
    const { limiters, channels, arrived } = openShared();
    const key = limitedKey({ maxParallelRequests: 3, rpmLimit: 5 });
    const [dying, staying] = limiters;
    await Promise.all([dying.take(key), dying.take(key), staying.take(key)]);
    expect((await attempt(staying, key)).passed).toBe(false);
    channels[0].close();
    await arrived();
    expect((await attempt(staying, key)).passed).toBe(true);
    expect((await attempt(staying, key)).passed).toBe(true);
    expect((await attempt(staying, key)).passed).toBe(false);
  });

  test('has what it settled before counted', async () => {
    const { limiters, channels, book, memory, arrived } = openShared();
    const [limited, free] = [limitedKey({ tpmLimit: 10 }), limitedKey({})];
    const grant = await limiters[0].take(limited);
    grant.settle({ tokens: 10, costUsd: 1 });
    (await limiters[0].take(free)).settle({ tokens: null, costUsd: 2 });
    await limiters[0].close();
    channels[0].close();
    await arrived();
    expect((await attempt(limiters[1], limited)).passed).toBe(false);
    await memory.close();
    expect([book.usd(limited.id), book.usd(free.id)]).toEqual([1, 2]);
  });

  test('lets nothing more pass, and its end comes twice without harm', async () => {
    const { limiters } = openShared();
    await limiters[0].close();
    await limiters[0].close();
    const key = limitedKey({ rpmLimit: 100 });
    await expect((async () => limiters[0].take(key))()).rejects.toMatchObject({ reason: 'unavailable' });
  });
});

describe('shared between processes: the one that counts', () => {
  test('lets nothing pass by its silence, and has no slot taken by answers that come too late', async () => {
    const { limiters, channels, clock, arrived } = openShared();
    const key = limitedKey({ maxParallelRequests: 1 });
    channels[0].hold();
    const refused = expect(limiters[0].take(key)).rejects.toMatchObject({
      reason: 'unavailable',
      status: 503,
    });
    await clock.advance(2_500);
    await refused;
    channels[0].release();
    await arrived();
    expect((await attempt(limiters[0], key)).passed).toBe(true);
  });

  test('lets nothing pass once it is gone, nor keeps anybody waiting', async () => {
    const { limiters, channels, arrived } = openShared();
    const key = limitedKey({ rpmLimit: 100 });
    const grant = await limiters[0].take(key);
    channels[0].hold();
    const refused = expect(limiters[0].take(key)).rejects.toMatchObject({ reason: 'unavailable' });
    channels[0].close();
    channels[0].release();
    await arrived();
    await refused;
    await expect((async () => limiters[0].take(key))()).rejects.toMatchObject({ reason: 'unavailable' });
    grant.settle(NOTHING_USED);
    await limiters[0].close();
  });

  test('is not waited for at the end for ever', async () => {
    const { limiters, channels, clock } = openShared();
    channels[0].hold();
    const closed = limiters[0].close();
    await clock.advance(2_000);
    await closed;
  });
});

import { expect, onTestFinished, test } from 'vitest';
import { createMemoryLimiter } from '../../src/access/memory-limiter.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import { FakeLimiterClock, limitedKey } from './limiter-house.ts';
import { SpendBook } from './spend-book.ts';

function openWriting() {
  const clock = new FakeLimiterClock();
  const book = new SpendBook();
  const limiter = createMemoryLimiter({ store: book, logger: book.logger, clock });
  onTestFinished(() => limiter.close());
  const spend = (key: StoredKey, costUsd: number) => limiter.take(key).settle({ tokens: null, costUsd });
  return { limiter, clock, book, spend };
}

test('spending is written within 250 ms, a key once', async () => {
  const { clock, book, spend } = openWriting();
  const [one, two] = [limitedKey({}), limitedKey({ rpmLimit: 100 })];
  for (let i = 0; i < 8; i++) spend(one, 0.25);
  spend(two, 0.5);
  await clock.advance(249);
  expect(book.batches).toEqual([]);
  await clock.advance(1);
  const now = clock.wall();
  const spent = [
    { id: one.id, usd: 2 },
    { id: two.id, usd: 0.5 },
  ];
  expect(book.batches).toEqual([{ spent, now }]);
  await clock.advance(10_000);
  expect(book.batches).toHaveLength(1);
});

test('nothing that was free is written', async () => {
  const { limiter, book, spend } = openWriting();
  spend(limitedKey({}), 0);
  await limiter.close();
  expect(book.batches).toEqual([]);
});

test('many keys are written in batches', async () => {
  const { clock, book, spend } = openWriting();
  for (let i = 0; i < 2_500; i++) spend(limitedKey({}), 1);
  await clock.advance(250);
  expect(book.batches.map(({ spent }) => spent.length)).toEqual([1_000, 1_000, 500]);
});

test('while the store is away spending waits, and is written once when it is back', async () => {
  const { clock, book, spend } = openWriting();
  const key = limitedKey({});
  book.state = 'away';
  for (let i = 0; i < 100; i++) {
    spend(key, 0.5);
    await clock.advance(600);
  }
  expect(book.refusals).toBeGreaterThan(10);
  expect(book.refusals).toBeLessThan(30);
  expect(book.batches).toEqual([]);
  book.state = 'here';
  await clock.advance(4_000);
  expect(book.usd(key.id)).toBe(50);
  expect(book.lines.map(({ msg }) => msg)).toEqual([
    'spending of keys could not be written; it is tried again',
    'spending of keys is written again',
  ]);
  spend(key, 1);
  await clock.advance(250);
  expect(book.usd(key.id)).toBe(51);
});

test('of a batch that is refused in its midst the rest alone is written again', async () => {
  const { clock, book, spend } = openWriting();
  const keys = Array.from({ length: 1_500 }, () => limitedKey({}));
  for (const key of keys) spend(key, 1);
  const addSpend = book.addSpend.bind(book);
  book.addSpend = async (spent, now) => {
    await addSpend(spent, now);
    book.state = book.batches.length === 1 ? 'away' : 'here';
  };
  await clock.advance(250);
  expect(book.batches).toHaveLength(1);
  book.state = 'here';
  await clock.advance(4_000);
  for (const { id } of keys) expect(book.usd(id)).toBe(1);
});

test('the end writes what waits, after what is being written', async () => {
  const { limiter, clock, book, spend } = openWriting();
  const key = limitedKey({});
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const addSpend = book.addSpend.bind(book);
  book.addSpend = async (spent, now) => {
    await opened;
    await addSpend(spent, now);
  };
  spend(key, 1);
  await clock.advance(250);
  spend(key, 2);
  const closed = limiter.close();
  open();
  await closed;
  expect(book.batches.map(({ spent }) => spent[0]?.usd)).toEqual([1, 2]);
  await limiter.close();
  expect(book.batches).toHaveLength(2);
});

test('the end waits for a store that comes back', async () => {
  const { limiter, clock, book, spend } = openWriting();
  const key = limitedKey({});
  book.state = 'away';
  spend(key, 1);
  await clock.advance(250);
  const closed = limiter.close();
  await clock.advance(2_000);
  book.state = 'here';
  await clock.advance(2_000);
  await closed;
  expect(book.usd(key.id)).toBe(1);
});

test.each(['away', 'hanging'] as const)(
  'the end says what is lost when the store stays %s',
  async (state) => {
    const { limiter, clock, book, spend } = openWriting();
    book.state = state;
    spend(limitedKey({}), 1.5);
    await clock.advance(250);
    spend(limitedKey({}), 1);
    const closed = limiter.close();
    await clock.advance(5_000);
    await closed;
    expect(book.lines.at(-1)).toMatchObject({
      level: 50,
      usd: 2.5,
      msg: 'the store is away: spending of keys is lost',
    });
  },
);

test('what is spent after the end is told', async () => {
  const { limiter, book } = openWriting();
  const key = limitedKey({});
  const late = limiter.take(key);
  await limiter.close();
  late.settle({ tokens: null, costUsd: 2 });
  expect(book.lines.at(-1)).toMatchObject({ level: 50, key: key.id, usd: 2 });
});

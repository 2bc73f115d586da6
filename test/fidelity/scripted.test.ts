import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CORPUS } from './corpus/index.ts';
import { STATUSES } from './corpus/statuses.ts';
import { type Exchange, WAYS, type Way, waysOf } from './exchange.ts';
import type { Fixture } from './fixture.ts';
import { startScriptedFixture } from './scripted-fixture.ts';

/*
 * The corpus against an upstream that sends and records bytes: every exchange is run directly and on every way
 * through the gateway, and both ends of it must see the same, but for what allowed-differences.ts allows.
 */

let fixture: Fixture;

beforeAll(async () => {
  fixture = await startScriptedFixture();
});

afterAll(() => fixture.close());

const rows = (exchanges: readonly Exchange[]): [string, Way, Exchange][] =>
  exchanges.flatMap((exchange) =>
    waysOf(exchange).map((way): [string, Way, Exchange] => [exchange.name, way, exchange]),
  );

describe.each(CORPUS)('%s are the same with and without the gateway', (_, exchanges) => {
  test.each(rows(exchanges))('%s, on the way of %s', async (_name, way, exchange) => {
    await fixture.compare(exchange, way);
  });
});

test.each(WAYS)('every status from 200 to 599 passes with its reason on the way of %s', async (way) => {
  for (const exchange of STATUSES) await fixture.compare(exchange, way);
});

test('names each exchange once', () => {
  for (const [, exchanges] of CORPUS) {
    const names = exchanges.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  }
});

import { afterAll, beforeAll, test } from 'vitest';
import { LARGE } from './corpus/large.ts';
import { type Exchange, type Way, waysOf } from './exchange.ts';
import type { Fixture } from './fixture.ts';
import { startScriptedFixture } from './scripted-fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await startScriptedFixture();
});

afterAll(() => fixture.close());

const rows = LARGE.flatMap((exchange) =>
  waysOf(exchange).map((way): [string, Way, Exchange] => [exchange.name, way, exchange]),
);

test.each(rows)('%s arrive whole on the way of %s', async (_name, way, exchange) => {
  await fixture.compare(exchange, way);
});

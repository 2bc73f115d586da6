import type { ClientHttp2Session } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { actualRequest, actualResponse, asHttp2, withOneCookie } from './allowed-differences.ts';
import { CORPUS } from './corpus/index.ts';
import { STATUSES } from './corpus/statuses.ts';
import { type Exchange, WAYS, type Way, waysOf } from './exchange.ts';
import type { Fixture } from './fixture.ts';
import { http2Client, http2Exchange, isHttp2Able } from './http2-exchange.ts';
import { startScriptedFixture } from './scripted-fixture.ts';

/* The same corpus, asked for over HTTP/2; the upstream speaks HTTP/1.1 in any case. */

let fixture: Fixture;
let session: ClientHttp2Session;

beforeAll(async () => {
  fixture = await startScriptedFixture();
  session = await http2Client(`http://127.0.0.1:${fixture.gatewayPort}`);
});

afterAll(async () => {
  session.destroy();
  await fixture.close();
});

async function compare(exchange: Exchange, way: Way): Promise<void> {
  const expected = await fixture.direct(exchange);
  const { received, client } = await fixture.observe(exchange, () =>
    http2Exchange(session, exchange.request, fixture.filling(way)),
  );
  expect(asHttp2(actualRequest(received)), `what the upstream got: ${exchange.why}`).toEqual(
    asHttp2(withOneCookie(expected.request)),
  );
  const response = actualResponse(client, expected.response);
  expect(
    { interim: response.interim.map(asHttp2), response: asHttp2(response.response) },
    `what the client got: ${exchange.why}`,
  ).toEqual({
    interim: expected.response.interim.map(asHttp2),
    response: asHttp2(expected.response.response),
  });
}

const rows = (exchanges: readonly Exchange[]): [string, Exchange][] =>
  exchanges
    .filter(({ request }) => isHttp2Able(request))
    .map((exchange): [string, Exchange] => [exchange.name, exchange]);

describe.each(CORPUS)('%s are the same over HTTP/2', (_, exchanges) => {
  test.each(rows(exchanges))('%s', async (_name, exchange) => {
    for (const way of waysOf(exchange)) await compare(exchange, way);
  });
});

test.each(WAYS)('every status from 200 to 599 passes over HTTP/2 on the way of %s', async (way) => {
  for (const exchange of STATUSES) await compare(exchange, way);
});

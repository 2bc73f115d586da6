import { afterAll, beforeAll, expect, test } from 'vitest';
import { startVllmSim, type VllmSim } from '../vllm-sim/index.ts';
import { actualResponse } from './allowed-differences.ts';
import { VLLM } from './corpus/vllm.ts';
import { type Exchange, WAYS, type Way, waysOf } from './exchange.ts';
import { type Fixture, startFixture, UPSTREAM_MODEL, type Upstream } from './fixture.ts';
import { pipelined } from './raw-exchange.ts';
import { requestBytes } from './request-text.ts';
import { type Field, fieldValue, type Message } from './wire.ts';

/* Every endpoint of vLLM, asked directly and through the gateway; the simulator's answers repeat to the byte. */

let fixture: Fixture;

beforeAll(async () => {
  const sim = await startVllmSim({
    frozen: true,
    devMode: true,
    chunkIntervalMs: 0,
    models: [UPSTREAM_MODEL],
  });
  fixture = await startFixture(recorded(sim));
});

afterAll(() => fixture.close());

/** The simulator's own record of its requests, as messages. */
function recorded(sim: VllmSim): Upstream {
  let seen = 0;
  return {
    port: sim.port,
    async take() {
      await sim.waitForIdle();
      const taken = sim.requests.slice(seen);
      seen = sim.requests.length;
      return taken.map(({ method, url, httpVersion, rawHeaders, rawTrailers, body }): Message => {
        const fields = paired(rawHeaders);
        const length = fieldValue(fields, 'content-length');
        const chunked = fieldValue(fields, 'transfer-encoding') !== null;
        return {
          start: `${method} ${url} HTTP/${httpVersion}`,
          fields,
          framing: chunked ? 'chunked' : length === null ? 'none' : 'length',
          body,
          trailers: paired(rawTrailers),
        };
      });
    },
    close: () => sim.close(),
  };
}

function paired(raw: readonly string[]): Field[] {
  const fields: Field[] = [];
  for (let i = 0; i < raw.length; i += 2) fields.push([raw[i] as string, raw[i + 1] as string]);
  return fields;
}

const rows = VLLM.flatMap((exchange) =>
  waysOf(exchange).map((way): [string, Way, Exchange] => [exchange.name, way, exchange]),
);

test.each(rows)('%s is answered alike on the way of %s', async (_name, way, exchange) => {
  await fixture.compare(exchange, way);
});

test('each endpoint is asked for something that it answers', async () => {
  const refused: string[] = [];
  for (const exchange of VLLM) {
    if (!exchange.why.startsWith('vLLM')) {
      const { response } = await fixture.direct(exchange);
      if (!response.response.start.startsWith('HTTP/1.1 2'))
        refused.push(`${exchange.name}: ${response.response.start}`);
    }
  }
  expect(refused).toEqual(['a slash too many: HTTP/1.1 307 Temporary Redirect']);
});

test.each(WAYS)('requests sent at once are answered in order on the way of %s', async (way) => {
  const exchanges = VLLM.filter(
    (exchange) =>
      exchange.why !== 'an administrative endpoint' && !exchange.before && waysOf(exchange).includes(way),
  );
  const requests = exchanges.map(({ request }) => requestBytes(request, fixture.filling(way)));
  const answers = await pipelined(fixture.gatewayPort, requests);
  for (const [i, response] of answers.entries()) {
    const expected = (await fixture.direct(exchanges[i] as Exchange)).response;
    expect(actualResponse({ interim: [], response }, expected)).toEqual(expected);
  }
});

import { describe, expect, test } from 'vitest';
import { type Live, open, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import {
  OK,
  type ScriptedUpstream,
  startUpstream,
  type UpstreamExchange,
} from '../helpers/scripted-upstream.ts';

const PROMPTLY_MS = 100;
const SSE = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';
const JSON_TYPE = ['Content-Type', 'application/json'];

interface House extends TestGateway {
  readonly upstream: ScriptedUpstream;
}

async function house(): Promise<House> {
  const upstream = await startUpstream(() => {});
  const gateway = await startTestGateway(`
model_list:
  - {model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "${upstream.url}"}}
general_settings:
  pass_through_endpoints: [{path: /r, target: "${upstream.url}"}]
`);
  return { ...gateway, upstream };
}

/** How far an exchange has come when its client goes. */
const STAGES: Readonly<
  Record<string, (house: House, ask: Ask) => Promise<{ live: Live; seen: UpstreamExchange }>>
> = {
  async 'before headers, not streaming'({ upstream }, ask) {
    const live = ask('{"model":"m","stream":false}');
    const seen = await upstream.next();
    await seen.until(() => seen.complete);
    return { live, seen };
  },
  async 'in the middle of the upload'({ upstream }, ask) {
    const live = ask(['{"model":"m","input":"', 'part']);
    const seen = await upstream.next();
    await seen.until(() => seen.body.toString().endsWith('part'));
    return { live, seen };
  },
  async 'before the first token'({ upstream }, ask) {
    const live = ask('{"model":"m","stream":true}');
    const seen = await upstream.next();
    seen.send(SSE);
    await live.head();
    return { live, seen };
  },
  async 'in the middle of the stream'({ upstream }, ask) {
    const live = ask('{"model":"m","stream":true}');
    const seen = await upstream.next();
    seen.send(`${SSE}9\r\ndata: 1\n\n\r\n`);
    await live.received(9);
    return { live, seen };
  },
  async 'in the middle of a body of known length'({ upstream }, ask) {
    const live = ask('{"model":"m"}');
    const seen = await upstream.next();
    seen.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin');
    await live.received(5);
    return { live, seen };
  },
};

type Ask = (body: string | readonly string[]) => Live;

describe.each(PROTOCOLS)('over %s', (protocol) => {
  describe.each(['/vllm/v1/chat/completions', '/v1/chat/completions', '/r/x'])(
    'stops the upstream when the client disconnects (#8754, #13774, #37140): %s',
    (path) => {
      test.each(
        Object.entries(STAGES).flatMap(([stage, reach]) =>
          (['vanish', 'leave'] as const).map((way) => [stage, way, reach] as const),
        ),
      )('%s, by %s', async (_, way, reach) => {
        const own = await house();
        const { live, seen } = await reach(own, (body) =>
          open(protocol, own.port, { method: 'POST', path, headers: JSON_TYPE, body }),
        );
        const left = performance.now();
        live[way]();
        const { at } = await seen.closed();
        expect(at - left).toBeLessThan(PROMPTLY_MS);
        expect(await own.line(({ msg }) => msg === 'request')).toMatchObject({ outcome: 'client_left' });
        expect([...own.gateway.outstanding.values()]).toEqual([0]);
      });
    },
  );

  test('a client that leaves before its model is known never reaches an upstream', async () => {
    const own = await house();
    const question = { method: 'POST', path: '/v1/x', headers: JSON_TYPE, body: ['{"mod'] };
    const live = open(protocol, own.port, question);
    const other = open(protocol, own.port, { ...question, body: '{"model":"m"}' });
    const seen = await own.upstream.next();
    live.vanish();
    const line = await own.line(({ msg }) => msg === 'request');
    expect(line).toMatchObject({ outcome: 'client_left', status: 499, target: null });
    expect(own.upstream.exchanges).toHaveLength(1);
    seen.send(OK);
    expect((await other.answer()).status).toBe(200);
  });

  test('the client of one stream leaving does not disturb the others', async () => {
    const own = await house();
    const question = { method: 'POST', path: '/v1/x', headers: JSON_TYPE, body: '{"model":"m"}' };
    const lives = [0, 1, 2].map(() => open(protocol, own.port, question));
    await own.upstream.arrived(3);
    for (const seen of own.upstream.exchanges) seen.send(`${SSE}1\r\na\r\n`);
    for (const live of lives) await live.received(1);
    lives[1]?.vanish();
    await own.line(({ outcome }) => outcome === 'client_left');
    for (const seen of own.upstream.exchanges) if (!seen.isClosed) seen.send('1\r\nb\r\n0\r\n\r\n');
    for (const live of [lives[0], lives[2]]) {
      const answer = await live?.answer();
      expect([answer?.body.toString(), answer?.whole]).toEqual(['ab', true]);
    }
  });
});

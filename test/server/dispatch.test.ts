import { describe, expect, test } from 'vitest';
import { ask, open, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { OK, startUpstream } from '../helpers/scripted-upstream.ts';
import { openWebSocket } from '../helpers/websocket.ts';

function oneModel(url: string): string {
  return `model_list: [{model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "${url}"}}]`;
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('a new configuration is for new requests; those under way keep theirs', async () => {
    const [before, after] = await Promise.all([startUpstream(() => {}), startUpstream()]);
    const gateway = await startTestGateway(oneModel(before.url));
    const live = open(protocol, gateway.port, { path: '/vllm/x' });
    const seen = await before.next();
    gateway.reconfigure(oneModel(after.url));
    expect((await ask(protocol, gateway.port, { path: '/vllm/x' })).body.toString()).toBe('ok');
    expect([before.exchanges.length, after.exchanges.length]).toEqual([1, 1]);
    expect(gateway.gateway.inFlight).toBe(1);
    seen.send(OK);
    expect((await live.answer()).body.toString()).toBe('ok');
  });

  test('a websocket meets the same table: the control plane has none, and no path means 404', async () => {
    const upstream = await startUpstream();
    const { port } = await startTestGateway(oneModel(upstream.url));
    for (const path of ['/health', '/nowhere', '/']) {
      const handshake = await openWebSocket(protocol, port, { path });
      expect([path, handshake.status]).toEqual([path, 404]);
    }
    expect(upstream.connections).toBe(0);
  });

  test('a drain lets what is under way come to its end', async () => {
    const upstream = await startUpstream(() => {});
    const gateway = await startTestGateway(oneModel(upstream.url));
    const live = open(protocol, gateway.port, { path: '/vllm/x' });
    const seen = await upstream.next();
    const drained = gateway.gateway.drain();
    seen.send(OK);
    expect((await live.answer()).whole).toBe(true);
    expect(await drained).toEqual({ completed: 1, broken: 0 });
  });
});

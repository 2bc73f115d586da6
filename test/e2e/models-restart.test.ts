import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/program.ts';
import {
  errorIn,
  eventsIn,
  type ModelsGateway,
  type ModelsGatewayOptions,
  startModels,
} from './models-fixture.ts';

/** Starts gateways one after the other on one database. */
function lives(): (options?: ModelsGatewayOptions) => Promise<ModelsGateway> {
  const env = { DATABASE_URL: `sqlite:${join(temporaryFolder(), 'sluice.db')}` };
  return (options = {}) => startModels({ ...options, env });
}

const isReady = ({ state }: { readonly state: string }): boolean => state === 'MODEL_STATE_READY';
const BROKEN = { command: ['/nonesuch/vllm'] };

describe('a gateway that starts again', () => {
  test('has its configurations and routes, loads what was loaded, and nothing else', async () => {
    const start = lives();
    const first = await start();
    const [loaded, unloaded] = [await first.configure('loaded'), await first.configure('unloaded')];
    const never = await first.configure('never', { hf_token: 'hf_secret', temperature: 0.5 });
    for (const configId of [loaded, unloaded]) await first.load(configId);
    await first.rest('POST', '/llm/unload_model/unloaded');
    const route = { path: '/echo', target: 'http://127.0.0.1:9', auth: false };
    expect((await first.rest('POST', '/config/pass_through_endpoint', { body: route })).status).toBe(200);
    await first.gateway.close();

    const second = await start();
    await second.untilStatus('loaded', isReady);
    expect((await second.rest('GET', '/llm/loaded_models/')).json).toEqual(['loaded']);
    expect((await second.rest('GET', '/llm/configurations/')).json).toMatchObject([
      { config_id: loaded },
      { config_id: unloaded },
      { config_id: never, model_kwargs: { hf_token: '***', temperature: 0.5 } },
    ]);
    const { endpoints } = (await second.rest('GET', '/config/pass_through_endpoint')).json;
    expect(endpoints).toMatchObject([{ path: '/echo', auth: false }]);
    expect((await second.chat('loaded')).status).toBe(200);
    // The path is the route's; nothing listens on its target.
    expect((await second.rest('GET', '/echo')).status).toBe(502);
  });

  test('and can’t load what was loaded shows why, and the start after that tries again', async () => {
    const start = lives();
    const first = await start();
    const configId = await first.configure('m');
    await first.load(configId);
    await first.gateway.close();

    const second = await start(BROKEN);
    const failed = await second.untilStatus('m', ({ state }) => state === 'MODEL_STATE_FAILED');
    expect(failed).toMatchObject({ config_id: configId, failure: expect.stringContaining('/nonesuch/vllm') });
    const events = await second.rest('GET', `/llm/load_model/${configId}/events`, {
      headers: { accept: 'text/event-stream' },
    });
    expect(eventsIn(events.text)).toMatchObject([{ state: 'MODEL_STATE_FAILED', failure: failed.failure }]);
    const line = await second.line(({ level }) => level === 50);
    expect(line.msg).toBe(`model m: ${failed.failure}`);
    await second.gateway.close();

    const third = await start();
    await third.untilStatus('m', isReady);
  });

  test('and is told to unload what it could not load leaves it unloaded from then on', async () => {
    const start = lives();
    const first = await start();
    await first.load(await first.configure('m'));
    await first.gateway.close();
    const second = await start(BROKEN);
    await second.untilStatus('m', ({ state }) => state === 'MODEL_STATE_FAILED');
    expect((await second.rest('POST', '/llm/unload_model/m')).status).toBe(200);
    expect((await second.status('m'))?.state).toBe('MODEL_STATE_STOPPED');
    const again = await second.rest('POST', '/llm/unload_model/m');
    expect([again.status, errorIn(again).message]).toEqual([404, 'The model "m" is not loaded.']);
    await second.gateway.close();
    const third = await start();
    expect((await third.status('m'))?.state).toBe('MODEL_STATE_STOPPED');
    expect(third.started()).toEqual([]);
  });
});

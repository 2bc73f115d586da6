import { describe, expect, test } from 'vitest';
import { untilGone } from '../models/processes.ts';
import { startModels } from './models-fixture.ts';

describe('a model that nobody uses', () => {
  test('falls asleep after its keep_alive, and wakes again', async () => {
    const gateway = await startModels();
    await gateway.configure('m', { load_on_request: true, keep_alive: '1s', sim_interval_ms: 12 });
    expect((await gateway.chat('m')).status).toBe(200);
    // A stream that takes longer than the keep_alive is use.
    const streaming = await gateway.chat('m', {
      fields: { stream: true, ignore_eos: true, max_tokens: 100 },
    });
    expect(await streaming.text()).toMatch(/data: \[DONE\]\n\n$/);
    expect((await gateway.status('m'))?.state).toBe('MODEL_STATE_READY');
    await gateway.line(({ msg }) => msg === 'model m: unloaded after 1 s without a request');
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_STOPPED');
    await untilGone(gateway.started());
    expect((await gateway.rest('GET', '/llm/loaded_models/')).json).toEqual([]);
    expect((await gateway.chat('m')).status).toBe(200);
    expect(gateway.started()).toHaveLength(2 + gateway.collisions());
  });

  test('without load_on_request stays unloaded after its keep_alive', async () => {
    const gateway = await startModels();
    await gateway.load(await gateway.configure('m', { keep_alive: 0.5 }));
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_STOPPED');
    expect((await gateway.chat('m')).status).toBe(404);
  });
});

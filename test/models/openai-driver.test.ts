import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { ProviderTarget } from '../../src/base/config/config.ts';
import type { Json } from '../../src/base/json.ts';
import { createOpenaiDriver } from '../../src/models/openai-driver.ts';
import { startUpstream } from '../helpers/scripted-upstream.ts';
import { configurationOf, openClient, startLoad, targetOf } from './driver-house.ts';

function driverWith(target: ProviderTarget | null) {
  const client = openClient();
  return createOpenaiDriver({ client: () => client, providerTarget: () => target });
}

function load(
  kwargs: Readonly<Record<string, Json>>,
  model = 'gpt-4o',
  target: ProviderTarget | null = null,
) {
  return startLoad(driverWith(target), configurationOf('openai', model, kwargs));
}

function json(status: number, body: unknown): string {
  const text = JSON.stringify(body);
  return `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

const MODELS = json(200, { object: 'list', data: [{ id: 'gpt-4o' }, { id: 'gpt-4o-mini' }] });

describe('loading an openai model', () => {
  test('asks /v1/models with the key and is where the base says', async () => {
    const upstream = await startUpstream(MODELS);
    const { outcome, progress } = load({ api_base: `${upstream.url}/v1/`, api_key: 'sk-up' });
    const runtime = await outcome;
    const [exchange] = upstream.exchanges;
    expect(exchange?.line).toBe('GET /v1/models HTTP/1.1');
    expect(exchange?.header('authorization')).toBe('Bearer sk-up');
    expect(runtime.upstream).toEqual({
      provider: 'openai',
      apiBase: `${upstream.url}/v1`,
      apiKey: 'sk-up',
      upstreamModel: 'gpt-4o',
    });
    expect(progress[0]?.stage).toBe('connecting');
    await runtime.stop();
    await runtime.stop();
  });

  test('joins a base without /v1, and one with a path of its own', async () => {
    const upstream = await startUpstream(MODELS);
    await load({ api_base: upstream.url }).outcome;
    await load({ api_base: `${upstream.url}/openai/v1` }).outcome;
    expect(upstream.exchanges.map(({ target }) => target)).toEqual(['/v1/models', '/openai/v1/models']);
  });

  test('takes base and key of the environment where it gives none', async () => {
    const upstream = await startUpstream(MODELS);
    const target = targetOf('openai', upstream.url, 'sk-environment');
    const { upstream: to } = await load({}, 'gpt-4o', target).outcome;
    expect([to.apiBase, to.apiKey]).toEqual([upstream.url, 'sk-environment']);
  });

  test("does not send the environment's key to another address", async () => {
    const upstream = await startUpstream(MODELS);
    const target = targetOf('openai', 'https://api.openai.com/v1', 'sk-environment');
    const runtime = await load({ api_base: upstream.url }, 'gpt-4o', target).outcome;
    expect(runtime.upstream.apiKey).toBeNull();
    expect(upstream.exchanges[0]?.bytes.toString()).not.toContain('sk-environment');
  });

  test.each<[string, string, string]>([
    [
      'a refused key',
      json(401, { error: { message: 'Incorrect API key: sk-up' } }),
      'refused the credential (401): Incorrect API key: ***; is model_kwargs.api_key right?',
    ],
    [
      'a forbidden key',
      json(403, { detail: 'no' }),
      'refused the credential (403): no; is model_kwargs.api_key right?',
    ],
    ['no such path', json(404, {}), 'has no /v1/models (404); is api_base right?'],
    ['a failing server', json(500, { error: 'boom' }), 'answered 500 to /v1/models: boom.'],
    [
      'another page',
      'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>',
      'answered /v1/models with something that is no list of models.',
    ],
    [
      'a missing model with a near name',
      json(200, { data: [{ id: 'gpt-4o-' }, { id: 'o3' }] }),
      'has no model "gpt-4o"; did you mean "gpt-4o-"?',
    ],
    [
      'a missing model with kin',
      json(200, { data: [{ id: 'org/gpt-4o-2024-08-06' }, { id: 'o3' }] }),
      'has no model "gpt-4o"; it serves org/gpt-4o-2024-08-06.',
    ],
    ['an empty list', json(200, { data: [] }), 'has no model "gpt-4o"; it serves none.'],
    ['a broken answer', 'HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{"data":[', 'could not be reached: '],
  ])('fails with the reason: %s', async (_what, answer, said) => {
    const upstream = await startUpstream((exchange) =>
      answer.endsWith('{"data":[') ? exchange.end(answer) : exchange.send(answer),
    );
    const refusal = await load({ api_base: upstream.url, api_key: 'sk-up' }).refusal;
    expect(refusal).toContain(`load_failed: ${upstream.url} ${said}`);
    expect(refusal).not.toContain('sk-up');
  });

  test('says that a key is missing where none is given', async () => {
    const upstream = await startUpstream(json(401, {}));
    expect(await load({ api_base: upstream.url }).refusal).toContain(
      'it wants one; give model_kwargs.api_key',
    );
  });

  test('fails when nothing listens', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
      });
    });
    const refusal = await load({ api_base: `http://127.0.0.1:${port}` }).refusal;
    expect(refusal).toContain(`http://127.0.0.1:${port} could not be reached: `);
  });

  test('is given up when the load is stopped', async () => {
    const upstream = await startUpstream(() => {});
    const { outcome, abort } = load({ api_base: upstream.url });
    const exchange = await upstream.next();
    const reason = new Error('unloaded');
    abort(reason);
    await expect(outcome).rejects.toBe(reason);
    await exchange.closed();
  });
});

describe('checking an openai configuration', () => {
  test("takes the documents' example", () => {
    driverWith(null).check(configurationOf('openai', 'gpt-3', { temperature: 0.7 }));
  });

  test('names what it does not know, with what was perhaps meant', () => {
    const check = () =>
      driverWith(null).check(configurationOf('openai', 'x', { temprature: 0.7, tensor_parallel_size: 2 }));
    expect(check).toThrow(/temprature: .*did you mean temperature\?\n.*tensor_parallel_size: .*remove it/);
  });
});

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { startVllmSim, type VllmSim } from '../vllm-sim/index.ts';

/*
 * Document 004's commands, as printed there. Replaced are only the port 8000, the configuration id that the document
 * invents, and OpenAI's address (by OPENAI_API_BASE) with the simulator's.
 */

const run = promisify(execFile);
const PRINTED_ID = 'abcd1234-efgh-5678-ijkl-9012mnop3456';

interface Fixture {
  readonly sim: VllmSim;
  readonly server: TestGateway;
}

async function fixture(): Promise<Fixture> {
  const sim = await startVllmSim({ models: ['gpt-3'], chunkIntervalMs: 1 });
  onTestFinished(() => sim.close());
  const env = { OPENAI_API_BASE: `${sim.url}/v1`, OPENAI_API_KEY: 'sk-upstream' };
  return { sim, server: await startTestGateway('model_list: []\n', { env }) };
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Runs a printed command in a shell. */
async function printed(command: string, { server }: Fixture, configId = PRINTED_ID): Promise<Answer> {
  const local = command
    .replaceAll(':8000', `:${server.port}`)
    .replaceAll(PRINTED_ID, configId)
    .replace('curl ', `curl -sS -m 10 -w '\\n%{http_code} %{content_type}' `);
  const { stdout } = await run('sh', ['-c', local]);
  const end = stdout.lastIndexOf('\n');
  const [status = '', contentType = ''] = stdout.slice(end + 1).split(' ');
  return { status: Number(status), contentType, text: stdout.slice(0, end) };
}

const CONFIGURE = `curl -X POST "http://localhost:8000/llm/configure_model/" -H "Content-Type: application/json" -d '{
  "model_id": "example_model",
  "model_name": "gpt-3",
  "model_type": "openai",
  "model_kwargs": {
    "temperature": 0.7
  }
}'`;
const LOAD = `curl -X POST "http://localhost:8000/llm/load_model/${PRINTED_ID}"`;
const UNLOAD = `curl -X POST "http://localhost:8000/llm/unload_model/example_model"`;
const INFER = `curl -X POST "http://localhost:8000/llm/inference/" -H "Content-Type: application/json" -d '{
  "model_id": "example_model",
  "prompt": "What is the capital of France?",
  "inference_kwargs": {
    "max_tokens": 50
  }
}'`;
const LIST = `curl -X GET "http://localhost:8000/llm/configurations/"`;
const GET = `curl -X GET "http://localhost:8000/llm/configuration/${PRINTED_ID}"`;
const DELETE = `curl -X DELETE "http://localhost:8000/llm/configuration/${PRINTED_ID}"`;
const LOADED = `curl -X GET "http://localhost:8000/llm/loaded_models/"`;

async function configured(setting: Fixture): Promise<string> {
  const { text } = await printed(CONFIGURE, setting);
  return (JSON.parse(text) as { readonly config_id: string }).config_id;
}

function expectJson(answer: Answer, body: unknown): void {
  expect({ ...answer, text: JSON.parse(answer.text) }).toEqual({
    status: 200,
    contentType: 'application/json',
    text: body,
  });
}

describe('document 004: LLM management', () => {
  test('its commands, one after the other, answer as printed', async () => {
    const setting = await fixture();
    const configId = await configured(setting);
    expect(configId).toMatch(/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/);
    const configuration = {
      config_id: configId,
      model_id: 'example_model',
      model_name: 'gpt-3',
      model_type: 'openai',
      model_kwargs: { temperature: 0.7 },
    };
    expectJson(await printed(LOADED, setting), []);
    expectJson(await printed(LOAD, setting, configId), { message: 'Model loaded successfully' });
    expectJson(await printed(LOADED, setting), ['example_model']);
    const inference = await printed(INFER, setting);
    expectJson(inference, { response: expect.stringMatching(/./) });
    const asked = setting.sim.requests.at(-1);
    expect(asked?.url).toBe('/v1/chat/completions');
    expect(JSON.parse(asked?.body.toString() ?? '')).toEqual({
      model: 'gpt-3',
      messages: [{ role: 'user', content: 'What is the capital of France?' }],
      temperature: 0.7,
      max_tokens: 50,
    });
    expectJson(await printed(LIST, setting), [configuration]);
    expectJson(await printed(GET, setting, configId), configuration);
    expectJson(await printed(UNLOAD, setting), { message: 'Model unloaded successfully' });
    expectJson(await printed(LOADED, setting), []);
    expectJson(await printed(DELETE, setting, configId), { detail: 'Configuration deleted successfully' });
    expectJson(await printed(LIST, setting), []);
  });

  test('configure answers with config_id and nothing else', async () => {
    const setting = await fixture();
    const answer = await printed(CONFIGURE, setting);
    expectJson(answer, { config_id: expect.any(String) });
  });

  test.each([
    ['load', LOAD],
    ['get', GET],
    ['delete', DELETE],
  ])('%s of a configuration that does not exist is a 404 that names it', async (_, command) => {
    const setting = await fixture();
    const { status, text } = await printed(command, setting);
    expect(status).toBe(404);
    expect(JSON.parse(text)).toEqual({
      error: {
        message: expect.stringContaining(PRINTED_ID),
        type: 'not_found_error',
        param: 'config_id',
        code: 'config_not_found',
      },
    });
  });

  test('unload and inference of a model that does not exist are 404s that name it', async () => {
    const setting = await fixture();
    for (const command of [UNLOAD, INFER]) {
      const { status, text } = await printed(command, setting);
      expect([status, JSON.parse(text).error.message]).toEqual([
        404,
        expect.stringContaining('example_model'),
      ]);
    }
  });

  test('every path works with and without its trailing slash', async () => {
    const setting = await fixture();
    const configId = await configured(setting);
    const other = (command: string): string =>
      command.replace(/(http:\/\/[^"]*)"/, (_, url: string) =>
        url.endsWith('/') ? `${url.slice(0, -1)}"` : `${url}/"`,
      );
    for (const command of [CONFIGURE, LOAD, LOADED, INFER, LIST, GET, UNLOAD]) {
      expect((await printed(other(command), setting, configId)).status).toBe(200);
    }
  });

  test('a loaded model is routable on the data plane under its model_id', async () => {
    const setting = await fixture();
    const { server, sim } = setting;
    await printed(LOAD, setting, await configured(setting));
    for (const path of ['/v1/chat/completions', '/vllm/v1/chat/completions']) {
      const answer = await fetch(`${server.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"model":"example_model","messages":[{"role":"user","content":"hi"}],"max_tokens":3}',
      });
      expect(answer.status).toBe(200);
      expect(sim.requests.at(-1)?.body.toString()).toContain('"model":"gpt-3"');
    }
    await printed(UNLOAD, setting);
    const gone = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"model":"example_model","messages":[]}',
    });
    expect(gone.status).toBe(404);
  });
});

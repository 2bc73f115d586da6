import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startTestGateway } from '../helpers/gateway.ts';
import { startVllmSim, type VllmSim } from '../vllm-sim/index.ts';

/*
 * The documents' own configurations and commands, as printed there. Only what a test can't have is replaced:
 * the ports 4000 and 8090 by free ones, and a third party's address by the simulator's.
 */

const run = promisify(execFile);

/** Runs a printed command in a shell; a trailing backslash, as the documents have it, included. */
async function printed(command: string, gatewayUrl: string): Promise<string> {
  const port = new URL(gatewayUrl).port;
  const local = command.replaceAll(':4000', `:${port}`).replace('curl ', 'curl -sS -m 10 ');
  const { stdout } = await run('sh', ['-c', local]);
  return stdout;
}

async function simulator(): Promise<VllmSim> {
  const sim = await startVllmSim({ chunkIntervalMs: 1 });
  onTestFinished(() => sim.close());
  return sim;
}

const CLASSIFY = `curl -X POST http://localhost:4000/vllm/classify \\
-H "Content-Type: application/json" \\
-H "Authorization: Bearer <your-api-key>" \\
-d '{"model": "roberta-base-language-detection", "input": "Hello, world!"}' \\
`;

describe('documents 000 and 001: PROXY', () => {
  test.each(['remodl_params', 'litellm_params', 'dheera_ai_params', 'params'])(
    'classify through a config with %s',
    async (section) => {
      const sim = await simulator();
      const { url } = await startTestGateway(`model_list:
  - model_name: roberta-base-language-detection
    ${section}:
      model: hosted_vllm/papluca/xlm-roberta-base-language-detection
      api_base: ${sim.url}
`);
      const answer = JSON.parse(await printed(CLASSIFY, url));
      expect(answer.model).toBe('papluca/xlm-roberta-base-language-detection');
      expect(answer.data[0].label).toBe('en');
      const [request] = sim.requests;
      expect(request?.url).toBe('/classify');
      expect(request?.body.toString()).toBe(
        '{"model": "papluca/xlm-roberta-base-language-detection", "input": "Hello, world!"}',
      );
      expect(request?.rawHeaders.map((name) => name.toLowerCase())).not.toContain('authorization');
    },
  );
});

describe('document 002: VLLM', () => {
  const config = (sim: VllmSim): string => `model_list:
  - model_name: "my-vllm-model"
    dheera_ai_params:
      model: hosted_vllm/vllm-1.72
      api_base: ${sim.url}
`;

  test('score', async () => {
    const sim = await simulator();
    const { url } = await startTestGateway(config(sim));
    const answer = JSON.parse(
      await printed(
        `curl -X 'POST' \\
  'http://0.0.0.0:4000/vllm/score' \\
  -H 'accept: application/json' \\
  -H 'Content-Type: application/json' \\
  -d '{
  "model": "my-vllm-model",
  "encoding_format": "float",
  "text_1": "What is the capital of France?",
  "text_2": "The capital of France is Paris."
}'
`,
        url,
      ),
    );
    expect(answer.data[0].score).toBeGreaterThan(0.5);
    expect(sim.requests[0]?.body.toString()).toContain('"model": "vllm-1.72"');
  });

  const METRICS = `curl -L -X GET 'http://0.0.0.0:4000/vllm/metrics' \\
-H 'Content-Type: application/json' \\
-H 'Authorization: Bearer $DHEERA_AI_VIRTUAL_KEY' \\
`;

  test('metrics, of the only vLLM deployment', async () => {
    const sim = await simulator();
    const { url } = await startTestGateway(config(sim));
    expect(await printed(METRICS, url)).toContain('vllm:num_requests_running');
  });

  const CHAT = `curl -L -X POST 'http://0.0.0.0:4000/vllm/chat/completions' \\
-H 'Content-Type: application/json' \\
-H 'Authorization: Bearer $DHEERA_AI_VIRTUAL_KEY' \\
-d '{
    "messages": [
        {
            "role": "user",
            "content": "I am going to Paris, what should I see?"
        }
    ],
    "max_tokens": 2048,
    "temperature": 0.8,
    "top_p": 0.1,
    "model": "qwen2.5-7b-instruct",
}'
`;

  test('chat and metrics from HOSTED_VLLM_API_BASE alone, trailing comma and all', async () => {
    const sim = await simulator();
    const { url } = await startTestGateway('general_settings: {}\n', {
      env: { HOSTED_VLLM_API_BASE: sim.url, DATABASE_URL: '', DHEERA_AI_MASTER_KEY: '' },
    });
    const answer = JSON.parse(await printed(CHAT, url));
    expect(answer.choices[0].message.content).not.toBe('');
    expect(sim.requests[0]?.url).toBe('/chat/completions');
    expect(sim.requests[0]?.body.toString()).toContain('"model": "qwen2.5-7b-instruct",\n}');
    expect(await printed(METRICS, url)).toContain('vllm:num_requests_running');
  });

  test('chat with the master key in place of a virtual one', async () => {
    const sim = await simulator();
    const { url } = await startTestGateway('general_settings: {}\n', {
      env: { HOSTED_VLLM_API_BASE: sim.url, DHEERA_AI_MASTER_KEY: 'sk-1234' },
    });
    const refused = JSON.parse(await printed(CHAT, url));
    expect(refused.error.type).toBe('authentication_error');
    const answer = JSON.parse(await printed(CHAT.replace('$DHEERA_AI_VIRTUAL_KEY', 'sk-1234'), url));
    expect(answer.object).toBe('chat.completion');
    expect(sim.requests).toHaveLength(1);
  });
});

describe('document 003: pass-through routes', () => {
  const RERANK = `curl --request POST \\
  --url http://localhost:4000/v1/rerank \\
  --header 'accept: application/json' \\
  --header 'content-type: application/json' \\
  --data '{
    "model": "rerank-english-v3.0",
    "query": "What is the capital of the United States?",
    "top_n": 3,
    "documents": ["Carson City is the capital city of the American state of Nevada.",
                  "The Commonwealth of the Northern Mariana Islands is a group of islands in the Pacific Ocean. Its capital is Saipan.",
                  "Washington, D.C. (also known as simply Washington or D.C., and officially as the District of Columbia) is the capital of the United States. It is a federal district.",
                  "Capitalization or capitalisation in English grammar is the use of a capital letter at the start of a word. English usage varies from capitalization in other languages.",
                  "Capital punishment (the death penalty) has existed in the United States since beforethe United States was a country. As of 2017, capital punishment is legal in 30 of the 50 states."]
  }'
`;

  function headersOf(sim: VllmSim): Record<string, string> {
    const raw = sim.requests.at(-1)?.rawHeaders ?? [];
    return Object.fromEntries(
      raw.flatMap((name, i) => (i % 2 === 0 ? [[name.toLowerCase(), raw[i + 1] as string]] : [])),
    );
  }

  test('the tutorial: /v1/rerank with its own credential', async () => {
    const sim = await simulator();
    const { url } = await startTestGateway(
      `general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/rerank"                                  # route you want to add to LiteLLM Proxy Server
      target: "${sim.url}/v1/rerank"          # URL this route should forward requests to
      headers:                                            # headers to forward to this URL
        Authorization: "bearer os.environ/COHERE_API_KEY" # (Optional) Auth Header to forward to your Endpoint
        content-type: application/json                    # (Optional) Extra Headers to pass to this endpoint 
        accept: application/json
      forward_headers: True                      # (Optional) Forward all headers from the incoming request to the target endpoint
`,
      { env: { COHERE_API_KEY: 'co-secret' } },
    );
    const answer = JSON.parse(await printed(RERANK, url));
    expect(answer.results).toHaveLength(3);
    expect(answer.results[0].index).toBe(2);
    expect(headersOf(sim).authorization).toBe('bearer co-secret');
    expect(headersOf(sim)['user-agent']).toMatch(/^curl/);
  });

  test('auth: true asks for a key and keeps it', async () => {
    const sim = await simulator();
    const { url } = await startTestGateway(
      `general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/rerank"
      target: "${sim.url}/v1/rerank"
      auth: true # 👈 Key change to use LiteLLM Auth / Keys
      headers:
        Authorization: "bearer os.environ/COHERE_API_KEY"
        content-type: application/json
        accept: application/json
`,
      { env: { COHERE_API_KEY: 'co-secret' } },
    );
    expect(JSON.parse(await printed(RERANK, url)).error.code).toBe('missing_key');
    const withKey = RERANK.replace(
      "  --header 'content-type",
      "  --header 'Authorization: Bearer sk-1234'\\\n  --header 'content-type",
    );
    expect(JSON.parse(await printed(withKey, url)).results[0].index).toBe(2);
    expect(sim.requests).toHaveLength(1);
    expect(headersOf(sim).authorization).toBe('bearer co-secret');
    expect(JSON.stringify(sim.requests[0]?.rawHeaders)).not.toContain('sk-1234');
  });

  test('/bria takes what is below it, with its custom header', async () => {
    const sim = await simulator();
    const { url } = await startTestGateway(
      `general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: /bria
      target: ${sim.url}
      headers:
        api_token: os.environ/BRIA_API_TOKEN
      auth: true
`,
      { env: { BRIA_API_TOKEN: 'bria-secret' } },
    );
    const answer = await printed(
      `curl -i -X POST \\
  'http://localhost:4000/bria/v1/text-to-image/base/2.3' \\
  -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer sk-1234' \\
  -d '{
    "prompt": "a book",
    "num_results": 2,
    "sync": true
  }'
`,
      url,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 404 /); // the simulator's own: it has no such endpoint
    const request = sim.requests[0];
    expect(request?.url).toBe('/v1/text-to-image/base/2.3');
    expect(headersOf(sim).api_token).toBe('bria-secret');
    expect(headersOf(sim).authorization).toBeUndefined();
  });
});

import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { hashKey } from '../../src/access/mint.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import type { Store } from '../../src/store/store.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { temporaryFolder } from '../helpers/program.ts';
import { type Script, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';
import { openStore } from '../store/open-store.ts';
import { key as sample } from '../store/samples.ts';

export const MASTER = 'sk-master';

const USAGE = '"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}';
const COMPLETION = `{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"Paris"}}],${USAGE}}`;

/** A chat completion of 10 tokens. */
export const CHAT = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${COMPLETION.length}\r\n\r\n${COMPLETION}`;

export const TOKENS = 10;

export interface KeysHouse extends TestGateway {
  readonly upstream: ScriptedUpstream;
  /** The gateway's own, opened a second time: what is added here the gateway hasn't seen. */
  readonly store: Store;
  /** Another gateway on the same store. */
  second(): Promise<TestGateway>;
  /** Stores a key with this secret. */
  add(secret: string, parts?: Partial<StoredKey>): Promise<StoredKey>;
  /** What the key has spent, once that has been written. */
  spent(key: StoredKey, passes: (usd: number) => boolean): Promise<number>;
}

export interface KeysHouseOptions {
  readonly script?: Script;
  readonly runs?: 'when complete' | 'at the head';
}

/** A gateway with keys, two models, and routes; `lang` costs 1 USD a token of the prompt and 2 of the completion. */
export async function keysHouse({ script = CHAT, runs }: KeysHouseOptions = {}): Promise<KeysHouse> {
  const upstream = await startUpstream(script, runs === undefined ? {} : { runs });
  const location = `sqlite:${join(temporaryFolder(), 'sluice.db')}`;
  const yaml = `
model_list:
  - model_name: lang
    litellm_params: {model: hosted_vllm/lang, api_base: "${upstream.url}"}
    model_info: {input_cost_per_token: 1, output_cost_per_token: 2}
  - {model_name: team/code, litellm_params: {model: openai/code, api_base: "${upstream.url}/v1", api_key: sk-of-the-upstream}}
general_settings:
  master_key: ${MASTER}
  pass_through_endpoints:
    - {path: /open, target: "${upstream.url}/t", forward_headers: true, include_subpath: true}
    - {path: /closed, target: "${upstream.url}/t", auth: true, include_subpath: true}
    - {path: /dear, target: "${upstream.url}/t", auth: true, cost_per_request: 0.25}
`;
  const start = () => startTestGateway(yaml, { env: { DATABASE_URL: location } });
  const store = await openStore(location);
  onTestFinished(() => store.close());
  return {
    ...(await start()),
    upstream,
    store,
    second: start,
    async add(secret, parts = {}) {
      const key = sample(secret, { token: hashKey(secret), keyName: `sk-...${secret.slice(-4)}`, ...parts });
      await store.createKey(key);
      return key;
    },
    async spent({ token }, passes) {
      for (;;) {
        const { spend = 0 } = (await store.keyByToken(token, Date.now())) ?? {};
        if (passes(spend)) return spend;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}

export function bearer(secret: string): readonly string[] {
  return ['Authorization', `Bearer ${secret}`];
}

export const JSON_TYPE = ['Content-Type', 'application/json'] as const;

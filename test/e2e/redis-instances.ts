import { expect } from 'vitest';
import { configFile, type Serving, startServing } from '../helpers/program.ts';
import type { TestRedis } from '../helpers/redis.ts';
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';
import { ownRedis } from '../store/redis-house.ts';
import { CHAT, MASTER } from './keys-house.ts';

/** Gateways, each a process of its own, that share one Redis. */
export interface Instances {
  readonly redis: TestRedis;
  readonly upstream: ScriptedUpstream;
  readonly gateways: readonly [Serving, ...Serving[]];
}

/** What a killed server has to come back with; each answer then waits for a disk, which may be busy. */
export const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

export async function startInstances(
  count: number,
  redisArguments: readonly string[] = [],
): Promise<Instances> {
  const redis = await ownRedis({ arguments: redisArguments });
  const upstream = await startUpstream(CHAT);
  const config = configFile(`
model_list:
  - model_name: lang
    litellm_params: {model: hosted_vllm/lang, api_base: "${upstream.url}"}
general_settings: {master_key: ${MASTER}}
`);
  const start = () => startServing({ args: ['--config', config], env: { REDIS_URL: redis.url } });
  const [first, ...others] = await Promise.all(Array.from({ length: count }, start));
  if (first === undefined) throw new Error('at least one');
  return { redis, upstream, gateways: [first, ...others] };
}

/** A call of the control plane by REST. */
export async function manage(
  gateway: Serving,
  path: string,
  body: unknown,
): Promise<{ readonly status: number; readonly json: Readonly<Record<string, unknown>> }> {
  const answer = await fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${MASTER}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as Readonly<Record<string, unknown>> };
}

/** A new key's secret. */
export async function generate(gateway: Serving, limits: Readonly<Record<string, unknown>>): Promise<string> {
  const { status, json } = await manage(gateway, '/key/generate', limits);
  expect(status).toBe(200);
  return String(json.key);
}

export interface Chat {
  readonly status: number;
  readonly isDegraded: boolean;
  readonly code: string | null;
  readonly ms: number;
}

/** One chat completion, to its end. */
export async function chat(gateway: Serving, secret: string): Promise<Chat> {
  const startedAt = performance.now();
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: '{"model":"lang","messages":[]}',
  });
  const body = (await answer.json()) as { readonly error?: { readonly code?: string } };
  return {
    status: answer.status,
    isDegraded: answer.headers.get('x-sluice-degraded') === 'limits',
    code: body.error?.code ?? null,
    ms: performance.now() - startedAt,
  };
}

export async function readiness(gateway: Serving): Promise<string> {
  const answer = await fetch(`${gateway.url}/health/readiness`);
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { readonly status: string }).status;
}

/** Requests, each gateway's in turn, at an even rate until it is stopped. */
export function load(
  gateways: readonly Serving[],
  secret: string,
  perSecond: number,
): { readonly answers: readonly Chat[]; stop(): Promise<readonly Chat[]> } {
  const answers: Chat[] = [];
  const underWay: Promise<unknown>[] = [];
  let sent = 0;
  const timer = setInterval(() => {
    const [gateway] = gateways.slice(sent++ % gateways.length);
    if (gateway !== undefined) underWay.push(chat(gateway, secret).then((answer) => answers.push(answer)));
  }, 1_000 / perSecond);
  return {
    answers,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      return answers;
    },
  };
}

/** Resolves, with the milliseconds that it took, when a chat passes what is asked of it. */
export async function until(
  gateway: Serving,
  secret: string,
  passes: (answer: Chat) => boolean,
): Promise<number> {
  const startedAt = performance.now();
  while (!passes(await chat(gateway, secret)));
  return performance.now() - startedAt;
}

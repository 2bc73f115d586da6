import { describe, expect, test } from 'vitest';
import type { TestRedis } from '../helpers/redis.ts';
import {
  chat,
  DURABLE,
  generate,
  load,
  manage,
  readiness,
  startInstances,
  until,
} from './redis-instances.ts';

const PER_SECOND = 100;
const HEALED_MS = 5_000;
/** The longest that a request waits for a Redis that is gone. */
const REQUEST_MS = 100;

const some = (count: number, answers: readonly unknown[]): Promise<void> =>
  expect.poll(() => answers.length, { timeout: 30_000, interval: 20 }).toBeGreaterThan(count);

/** Each gateway's heartbeat has counted both. */
async function eachKnowsTheOther(redis: TestRedis): Promise<void> {
  const beats = async (): Promise<readonly number[]> => {
    const reply = await redis.command('zrange', 'sluice:{state}:instances', 0, -1, 'withscores');
    return (reply as readonly string[]).filter((_text, index) => index % 2 === 1).map(Number);
  };
  await expect.poll(async () => (await beats()).length, { timeout: 5_000 }).toBe(2);
  const both = Math.max(...(await beats()));
  await expect.poll(async () => Math.min(...(await beats())), { timeout: 5_000 }).toBeGreaterThan(both);
}

describe('Redis, killed under load', () => {
  test('fails no request whose key is in use, and is used again within 5 s of its return', async () => {
    const { redis, gateways } = await startInstances(2, DURABLE);
    const [one, two = one] = gateways;
    const secret = await generate(one, { rpm_limit: 1_000_000 });
    for (const gateway of gateways) expect((await chat(gateway, secret)).status).toBe(200);
    const { answers, stop } = load(gateways, secret, PER_SECOND);
    await some(PER_SECOND, answers);
    await redis.kill();
    await until(one, secret, ({ isDegraded }) => isDegraded);
    await until(two, secret, ({ isDegraded }) => isDegraded);
    await some(answers.length + PER_SECOND, answers);
    expect(await readiness(one)).toBe('degraded');
    expect((await fetch(`${one.url}/health/liveliness`)).status).toBe(200);
    await redis.start();
    const healing = gateways.map((gateway) => until(gateway, secret, ({ isDegraded }) => !isDegraded));
    for (const ms of await Promise.all(healing)) expect(ms).toBeLessThan(HEALED_MS);
    await some(answers.length + PER_SECOND, answers);
    const all = await stop();
    expect(all.filter(({ status }) => status !== 200)).toEqual([]);
    expect(all.some(({ isDegraded }) => isDegraded)).toBe(true);
    expect(all.at(-1)?.isDegraded).toBe(false);
    expect(await readiness(one)).toBe('ready');
    const told = one.lines.filter(({ msg }) => /^Redis is /.test(String(msg))).map(({ level }) => level);
    expect(told).toEqual(['warn', 'info']);
  });

  test('leaves limits at each gateway’s share', async () => {
    // It doesn't come back, and without waits for the disk it is counted on until then.
    const { redis, gateways } = await startInstances(2);
    const [one, two = one] = gateways;
    const secret = await generate(one, { rpm_limit: 8 });
    for (const gateway of gateways) expect((await chat(gateway, secret)).status).toBe(200);
    await eachKnowsTheOther(redis);
    await redis.kill();
    for (const gateway of [one, two]) {
      await expect.poll(() => readiness(gateway), { timeout: 5_000 }).toBe('degraded');
      const statuses = await Promise.all(
        Array.from({ length: 10 }, async () => (await chat(gateway, secret)).status),
      );
      expect(statuses.filter((status) => status === 200)).toHaveLength(4);
      expect(statuses.filter((status) => status === 429)).toHaveLength(6);
    }
  });

  test('lets no unknown key in, and changes nothing: 503', async () => {
    const { redis, gateways } = await startInstances(1, DURABLE);
    const [gateway] = gateways;
    const secret = await generate(gateway, {});
    await redis.kill();
    await expect.poll(() => readiness(gateway), { timeout: 5_000 }).toBe('degraded');
    // It was never shown here, so that nobody here knows it.
    expect(await chat(gateway, secret)).toMatchObject({ status: 503, code: 'store_unavailable' });
    expect(await manage(gateway, '/key/generate', {})).toMatchObject({
      status: 503,
      json: { error: { code: 'store_unavailable' } },
    });
    expect((await manage(gateway, '/key/block', { key: secret })).status).toBe(503);
    await redis.start();
    expect(await until(gateway, secret, ({ status }) => status === 200)).toBeLessThan(HEALED_MS);
    expect((await manage(gateway, '/key/generate', {})).status).toBe(200);
  });
});

describe('Redis, stopped under load with its sockets open', () => {
  test('keeps no request waiting for more than 100 ms', async () => {
    const { redis, gateways } = await startInstances(1);
    const [gateway] = gateways;
    const secret = await generate(gateway, { rpm_limit: 1_000_000, max_parallel_requests: 1_000 });
    expect((await chat(gateway, secret)).status).toBe(200);
    const { answers, stop } = load(gateways, secret, PER_SECOND);
    await some(2 * PER_SECOND, answers);
    const before = Math.max(...answers.slice(PER_SECOND).map(({ ms }) => ms));
    const frozenAt = answers.length;
    redis.freeze();
    await some(frozenAt + 2 * PER_SECOND, answers);
    const during = Math.max(...answers.slice(frozenAt).map(({ ms }) => ms));
    redis.thaw();
    expect(await until(gateway, secret, ({ isDegraded }) => !isDegraded)).toBeLessThan(HEALED_MS);
    const all = await stop();
    expect(all.filter(({ status }) => status !== 200)).toEqual([]);
    expect(all.some(({ isDegraded }) => isDegraded)).toBe(true);
    // What the machine does besides is in both.
    expect(during - before).toBeLessThan(REQUEST_MS);
  });
});

import { describe, expect, test } from 'vitest';
import { chat, generate, manage, startInstances, until } from './redis-instances.ts';

const HEARD_MS = 1_000;

describe('two gateways on one Redis', () => {
  test('take each other’s keys, and hold to each other’s changes within a second', async () => {
    const { gateways } = await startInstances(2);
    const [one, two = one] = gateways;
    const secret = await generate(one, { key_alias: 'ci' });
    expect((await chat(two, secret)).status).toBe(200);
    await manage(one, '/key/block', { key: secret });
    expect(await until(two, secret, ({ code }) => code === 'blocked_key')).toBeLessThan(HEARD_MS);
    await manage(one, '/key/unblock', { key: secret });
    expect(await until(two, secret, ({ status }) => status === 200)).toBeLessThan(HEARD_MS);
    await manage(one, '/key/update', { key: secret, models: ['other'] });
    expect(await until(two, secret, ({ code }) => code === 'model_not_allowed')).toBeLessThan(HEARD_MS);
    await manage(one, '/key/delete', { key_aliases: ['ci'] });
    expect(await until(two, secret, ({ code }) => code === 'unknown_key')).toBeLessThan(HEARD_MS);
  });

  test('let exactly as many requests pass as the limit says', async () => {
    const { gateways } = await startInstances(2);
    const ROUNDS = 20;
    /** Null: a busy machine has kept Redis's answer back for too long, and a gateway said that it counted alone. */
    const tryOnce = async (): Promise<number[] | null> => {
      const secret = await generate(gateways[0], { rpm_limit: 100 });
      const statuses: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const answers = Array.from({ length: 16 }, (_, index) =>
          chat(gateways[index % 2] ?? gateways[0], secret),
        );
        for (const { status, isDegraded } of await Promise.all(answers)) {
          if (isDegraded) return null;
          statuses.push(status);
        }
      }
      return statuses;
    };
    const statuses = (await tryOnce()) ?? (await tryOnce()) ?? (await tryOnce()) ?? [];
    expect(statuses.filter((status) => status === 200)).toHaveLength(100);
    expect(statuses.filter((status) => status === 429)).toHaveLength(ROUNDS * 16 - 100);
  });

  test('refuse a key that has spent its tokens at the other, and tell what is left', async () => {
    const { gateways } = await startInstances(2);
    const [one, two = one] = gateways;
    const secret = await generate(one, { tpm_limit: 20 });
    // 10 tokens each.
    expect((await chat(one, secret)).status).toBe(200);
    expect((await chat(two, secret)).status).toBe(200);
    await until(one, secret, ({ code }) => code === 'rate_limited');
    expect((await chat(two, secret)).code).toBe('rate_limited');
  });
});

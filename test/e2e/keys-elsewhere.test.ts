import { describe, expect, test } from 'vitest';
import { ask, errorOf } from '../helpers/ask.ts';
import { openWebSocket } from '../helpers/websocket.ts';
import { bearer, keysHouse, MASTER } from './keys-house.ts';
import { controlPlaneAt } from './models-fixture.ts';

const SECRET = 'sk-of-the-one-who-asks';

/** Two gateways on one store; the key has been used on both. */
async function twoDoors() {
  const house = await keysHouse();
  const key = await house.add(SECRET);
  const other = await house.second();
  const codeAt = async (port: number): Promise<string> => {
    const answer = await ask('HTTP/1.1', port, { path: '/closed/x', headers: bearer(SECRET) });
    return answer.status === 200 ? 'let in' : errorOf(answer).code;
  };
  const { rest } = controlPlaneAt(house.url, MASTER);
  expect([await codeAt(house.port), await codeAt(other.port)]).toEqual(['let in', 'let in']);
  return { house, other, key, rest, codeAt };
}

describe('a change of a key holds at once on the gateway that made it, and within a second on the other', () => {
  test.each([
    ['/key/block', { key: SECRET }, 'blocked_key'],
    ['/key/delete', { keys: [SECRET] }, 'unknown_key'],
    ['/key/update', { key: SECRET, allowed_routes: ['/vllm'] }, 'route_not_allowed'],
    ['/key/update', { key: SECRET, rpm_limit: 0 }, 'rate_limited'],
    [`/key/${SECRET}/regenerate`, {}, 'unknown_key'],
  ])('%s %j', async (path, body, code) => {
    const { house, other, rest, codeAt } = await twoDoors();
    expect((await rest('POST', path, { body })).status).toBe(200);
    const changedAt = performance.now();
    expect(await codeAt(house.port)).toBe(code);
    await expect.poll(() => codeAt(other.port), { interval: 10, timeout: 5_000 }).toBe(code);
    expect(performance.now() - changedAt).toBeLessThan(1_000);
    // And it stays so.
    for (const { port } of [house, other]) expect(await codeAt(port)).toBe(code);
    const { status } = await openWebSocket('HTTP/1.1', other.port, {
      path: '/closed/x',
      headers: bearer(SECRET),
    });
    expect(status).toBeGreaterThanOrEqual(401);
  });

  test('an unblocked key, and one that was asked for before it was there', async () => {
    const { house, other, rest, codeAt } = await twoDoors();
    await rest('POST', '/key/delete', { body: { keys: [SECRET] } });
    await expect.poll(() => codeAt(other.port), { interval: 10, timeout: 5_000 }).toBe('unknown_key');
    expect((await rest('POST', '/key/generate', { body: { key: SECRET, blocked: true } })).status).toBe(200);
    await expect.poll(() => codeAt(other.port), { interval: 10, timeout: 1_000 }).toBe('blocked_key');
    await rest('POST', '/key/unblock', { body: { key: SECRET } });
    expect(await codeAt(house.port)).toBe('let in');
    await expect.poll(() => codeAt(other.port), { interval: 10, timeout: 1_000 }).toBe('let in');
  });
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, type TestCluster } from '../helpers/redis-cluster.ts';
import { storeContract } from './contract.ts';
import { keyConcurrencyContract } from './key-concurrency-contract.ts';
import { keyContract } from './key-contract.ts';
import { becomes, openOn } from './redis-house.ts';
import { route } from './samples.ts';

let cluster: TestCluster;
let count = 0;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(() => cluster?.stop());

const freshUrl = (): string => `${cluster.url}?prefix=test-${process.pid}-${++count}`;

storeContract('a Redis Cluster', freshUrl);
keyContract('a Redis Cluster', freshUrl);
keyConcurrencyContract('a Redis Cluster', freshUrl);

test('a Redis Cluster is found by any of its nodes', async () => {
  const [node] = cluster.nodes;
  const store = await openOn(`redis://127.0.0.1:${node?.port}?cluster=true&prefix=test-any`);
  await store.createRoute(route('a'));
  expect(await store.routes()).toHaveLength(1);
});

test('a Redis Cluster whose node is killed is used again when that is back', async () => {
  const own = await startCluster();
  try {
    const store = await openOn(own.url);
    await store.createRoute(route('a'));
    await Promise.all(own.nodes.map((node) => node.kill()));
    await becomes(store.connection, false);
    await Promise.all(own.nodes.map((node) => node.start()));
    expect(await becomes(store.connection, true)).toBeLessThan(10_000);
    await store.createRoute(route('b'));
  } finally {
    await own.stop();
  }
});

import { afterAll, beforeAll } from 'vitest';
import { type SharedRedis, sharedRedis } from '../helpers/redis.ts';
import { startCluster, type TestCluster } from '../helpers/redis-cluster.ts';
import { limiterContract } from './limiter-contract.ts';
import { openRedisHouse } from './redis-limiter-house.ts';

let redis: SharedRedis;
let cluster: TestCluster;
let count = 0;

beforeAll(async () => {
  [redis, cluster] = await Promise.all([sharedRedis(), startCluster()]);
});

afterAll(() => Promise.all([redis?.stop(), cluster?.stop()]));

limiterContract('on Redis', { open: () => openRedisHouse(redis.freshUrl()), runs: 5 });
limiterContract('on a Redis Cluster', {
  open: () => openRedisHouse(`${cluster.url}?prefix=test-${process.pid}-${++count}`),
  runs: 2,
});

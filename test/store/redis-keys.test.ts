import { afterAll, beforeAll } from 'vitest';
import { type SharedRedis, sharedRedis } from '../helpers/redis.ts';
import { keyConcurrencyContract } from './key-concurrency-contract.ts';
import { keyContract } from './key-contract.ts';

let redis: SharedRedis;

beforeAll(async () => {
  redis = await sharedRedis();
});

afterAll(() => redis?.stop());

keyContract('Redis', () => redis.freshUrl());
keyConcurrencyContract('Redis', () => redis.freshUrl());

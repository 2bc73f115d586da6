import { afterAll, beforeAll } from 'vitest';
import { type SharedRedis, sharedRedis } from '../helpers/redis.ts';
import { storeContract } from './contract.ts';

let redis: SharedRedis;

beforeAll(async () => {
  redis = await sharedRedis();
});

afterAll(() => redis?.stop());

storeContract('Redis', () => redis.freshUrl());

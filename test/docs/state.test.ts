import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/program.ts';
import { type SharedRedis, sharedRedis } from '../helpers/redis.ts';
import { openStore } from '../store/open-store.ts';
import { key, route } from '../store/samples.ts';
import { blocksOf, readPage, runExamples } from './page.ts';

const SECTION = readPage('docs/config.md').split('### Moving and backing up\n')[1] ?? '';

let redis: SharedRedis;
beforeAll(async () => {
  redis = await sharedRedis();
});
afterAll(() => redis?.stop());

test('moving a store to Redis goes as it is printed', async () => {
  const folder = temporaryFolder();
  const source = await openStore(`sqlite:${join(folder, 'sluice.db')}`);
  await source.createRoute(route('r'));
  await source.createKey(key('k', { spend: 0.3 }));
  await source.close();
  const [script = ''] = blocksOf(SECTION, 'sh');
  const url = redis.freshUrl();
  await runExamples({
    examples: [{ script: `export SLUICE_DATA_DIR=${folder}\n${script}`, prints: null }],
    url: 'http://localhost:4000',
    replaced: { 'redis://localhost:6379': url, 'backup.jsonl': join(folder, 'backup.jsonl') },
  });
  expect((statSync(join(folder, 'backup.jsonl')).mode & 0o777).toString(8)).toBe('600');
  const target = await openStore(url);
  expect(await target.routes()).toEqual([route('r')]);
  expect(await target.keyByToken(key('k').token, 0)).toEqual(key('k', { spend: 0.3 }));
  await target.close();
});

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MODEL_PARAMS } from '../../../src/base/config/deployment.ts';
import { GENERAL } from '../../../src/base/config/general-settings.ts';
import { MODEL_ENTRY } from '../../../src/base/config/model-list.ts';
import { ENDPOINT } from '../../../src/base/config/pass-through.ts';
import { LIBRARY, ROUTER, TOP } from '../../../src/base/config/sections.ts';
import { faultsOf, parsed } from './parsed.ts';

const text = readFileSync(new URL('../../../docs/config.md', import.meta.url), 'utf8');
const snippets = [...text.matchAll(/^```yaml\n(.*?)^```/gms)].map((match) => match[1] ?? '');

describe('docs/config.md', () => {
  test.each(snippets)('snippet %# is a configuration without a warning', (snippet) => {
    expect(parsed(snippet, { COHERE_API_KEY: 'a', BRIA_API_TOKEN: 'b' }).warnings).toEqual([]);
  });

  test('has snippets', () => {
    expect(snippets.length).toBeGreaterThanOrEqual(3);
  });

  test('shows a fault as it is told', () => {
    const shown = /`config\.yaml:12: ([^`]+)`/.exec(text)?.[1];
    const routes = `general_settings:
  pass_through_endpoints:
    - {path: /a, target: "https://a"}
    - {path: /b, target: api.cohere.com}
`;
    expect(faultsOf(routes)).toEqual([`config.yaml:4: ${shown}`]);
  });

  const keys = [TOP, MODEL_ENTRY, MODEL_PARAMS, GENERAL, ENDPOINT, LIBRARY, ROUTER].flatMap(
    ({ used, nested }) => [...Object.keys(used), ...nested],
  );

  test.each([...new Set(keys)].filter((key) => !/_cost|cost_per_(?!request)/.test(key)))(
    'tells of %s',
    (key) => {
      expect(text).toMatch(new RegExp(`\\b${key}\\b`));
    },
  );
});

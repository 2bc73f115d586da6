import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/base/config/parse.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';
import { blocksOf, readPage } from './page.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGES = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)];
const SCRIPTS = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts;

/** Of headings, as GitHub makes them. */
function anchorsOf(page: string): readonly string[] {
  return Array.from(page.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe.each(PAGES)('%s', (name) => {
  const page = readPage(name);

  test('leads somewhere with every link, and to a heading with every anchor', () => {
    const dead = Array.from(page.matchAll(/\]\((?!https?:)([^)\s]+)\)/g), ([, link = '']) => link).filter(
      (link) => {
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? name : normalize(join(dirname(name), path));
        if (!existsSync(join(ROOT, target))) return true;
        return anchor !== undefined && !anchorsOf(readPage(target)).includes(anchor);
      },
    );
    expect(dead).toEqual([]);
  });

  test('names npm scripts that there are', () => {
    for (const [, script = ''] of page.matchAll(/npm run ([\w:]+)/g)) expect(SCRIPTS).toHaveProperty(script);
  });

  test('has configurations without a warning', () => {
    for (const yaml of blocksOf(page, 'yaml')) {
      const env = Object.fromEntries(
        Array.from(yaml.matchAll(/os\.environ\/(\w+)/g), ([, each]) => [each, 'x']),
      );
      const { warnings } = parseConfig(yaml, { file: name, env, providers: PROVIDERS, baseDir: '.' });
      expect(warnings).toEqual([]);
    }
  });
});

import { describe, expect, test } from 'vitest';
import { OPENAPI_JSON } from '../../gen/openapi.ts';
import type { OwnAnswer } from '../../src/base/error-answer.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { createDocsPage } from '../../src/server/docs-page.ts';

const page = createDocsPage(OPENAPI_JSON);

function ask(path: string, headers: readonly string[] = [], method = 'GET'): OwnAnswer {
  const answer = page(method, path, headers);
  if (answer === null) throw new Error(`no answer for ${path}`);
  return answer;
}

function header({ headers }: OwnAnswer, name: string): string | undefined {
  const index = headers.findIndex((each, i) => i % 2 === 0 && each === name);
  return index === -1 ? undefined : headers[index + 1];
}

describe('the document', () => {
  test('is served as JSON, byte for byte', () => {
    const answer = ask('/openapi.json');
    expect([answer.status, answer.reason]).toEqual([200, 'OK']);
    expect(answer.body.toString()).toBe(OPENAPI_JSON);
    expect(header(answer, 'content-type')).toBe('application/json');
    expect(header(answer, 'content-length')).toBe(String(Buffer.byteLength(OPENAPI_JSON)));
    expect(header(answer, 'x-sluice-request-id')).toMatch(/./);
  });

  test('has another tag when it is another document', () => {
    const other = createDocsPage('{}')('GET', '/openapi.json', []);
    expect(header(ask('/openapi.json'), 'etag')).not.toBe(other === null ? null : header(other, 'etag'));
  });
});

describe('a client that has it already', () => {
  const etag = header(ask('/openapi.json'), 'etag') ?? '';

  test.each([
    ['its tag', etag],
    ['its tag among others', `"other", ${etag}`],
    ['its tag, made weak by a proxy', `W/${etag}`],
    ['any', '*'],
  ])('is told so for %s', (_, value) => {
    const answer = ask('/openapi.json', ['Host', 'x', 'If-None-Match', value]);
    expect(answer.status).toBe(304);
    expect(answer.body.length).toBe(0);
    expect(header(answer, 'etag')).toBe(etag);
    expect(header(answer, 'content-length')).toBeUndefined();
  });

  test.each([['"other"'], [''], [etag.slice(1, -1)]])('gets it again for %j', (value) => {
    expect(ask('/openapi.json', ['if-none-match', value]).status).toBe(200);
  });
});

describe('the page', () => {
  const html = ask('/docs').body.toString();
  const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, target]) => target as string);

  test('loads nothing but what is served here', () => {
    expect(loaded.length).toBeGreaterThan(4);
    for (const target of loaded) {
      const { origin, pathname } = new URL(target, 'http://gateway.test/docs');
      expect(origin).toBe('http://gateway.test');
      expect(ask(pathname).body.length, pathname).toBeGreaterThan(100);
    }
  });

  test('works below a path of a proxy', () => {
    for (const target of loaded) {
      expect(new URL(target, 'http://proxy.test/llm/docs').pathname).toMatch(/^\/llm\//);
    }
  });

  test('has no script and no style of its own, and may not run or load any from elsewhere', () => {
    expect(html).not.toMatch(/<script>|<style|style=|onload=|javascript:/);
    const policy = header(ask('/docs'), 'content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(policy).not.toMatch(/https?:|\*/);
  });

  test('asks no public validator', () => {
    const start = ask('/docs/start.js').body.toString();
    expect(start).toContain('validatorUrl: null');
    expect(start).not.toContain('http');
  });

  test.each([
    ['/docs', 'text/html; charset=utf-8'],
    ['/docs/start.js', 'text/javascript; charset=utf-8'],
    ['/docs/swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
    ['/docs/swagger-ui.css', 'text/css; charset=utf-8'],
    ['/docs/favicon-32x32.png', 'image/png'],
  ])('%s is %s, and nothing else', (path, type) => {
    const answer = ask(path);
    expect(header(answer, 'content-type')).toBe(type);
    expect(header(answer, 'x-content-type-options')).toBe('nosniff');
    expect(header(answer, 'cache-control')).toBe('no-cache');
    expect(ask(path, ['if-none-match', header(answer, 'etag') ?? '']).status).toBe(304);
  });

  test('is also found with a slash, whose relative links would lead astray', () => {
    const answer = ask('/docs/');
    expect(answer.status).toBe(308);
    expect(new URL(header(answer, 'location') ?? '', 'http://proxy.test/llm/docs/').pathname).toBe(
      '/llm/docs',
    );
  });
});

test('HEAD is answered as GET is', () => {
  expect(ask('/docs', [], 'HEAD').headers.slice(0, -1)).toEqual(ask('/docs').headers.slice(0, -1));
});

test.each(['POST', 'DELETE', 'OPTIONS'])('%s is refused with what is allowed', (method) => {
  try {
    ask('/openapi.json', [], method);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(SluiceError);
    expect(error).toMatchObject({ reason: 'method_not_allowed', headers: ['allow', 'GET, HEAD'] });
  }
});

test.each([
  '/',
  '/doc',
  '/docs/x',
  '/docs/../docs',
  '/openapi.json/',
  '/docs/swagger-ui-bundle.js.map',
  '/constructor',
])('%s is not the page’s', (path) => {
  expect(page('GET', path, [])).toBeNull();
  expect(page('POST', path, [])).toBeNull();
});

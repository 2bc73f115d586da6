import { createHash } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { OwnAnswer } from '../base/error-answer.ts';
import { SluiceError } from '../base/errors.ts';
import { nextRequestId } from '../base/request-id.ts';
import { readSwaggerUi } from './docs-page-assets.ts';

/**
 * Answers one request, or null when the path isn't of the page. The body is there for HEAD as well, for its length.
 * @param path the raw path
 * @param headers raw name-value pairs; `if-none-match` is read
 * @throws SluiceError `method_not_allowed` for anything but GET and HEAD
 */
export type DocsPage = (method: string, path: string, headers: readonly string[]) => OwnAnswer | null;

/**
 * The OpenAPI document at `/openapi.json` and, at `/docs`, a page that shows it and can try it out. All that the page
 * loads comes from here, so that it works where the internet doesn't. A key that is typed in stays in the page's memory.
 * @param openapi the document as JSON
 */
export function createDocsPage(openapi: string): DocsPage {
  const resources = new Map<string, () => Resource>([
    ['/openapi.json', once(() => resourceFrom('application/json', openapi))],
    ['/docs', once(() => resourceFrom('text/html; charset=utf-8', PAGE, PAGE_HEADERS))],
    ['/docs/start.js', once(() => resourceFrom(JAVASCRIPT, START))],
    [
      '/docs/swagger-ui-bundle.js',
      once(() => resourceFrom(JAVASCRIPT, readSwaggerUi('swagger-ui-bundle.js'))),
    ],
    [
      '/docs/swagger-ui.css',
      once(() => resourceFrom('text/css; charset=utf-8', readSwaggerUi('swagger-ui.css'))),
    ],
    ['/docs/favicon-32x32.png', once(() => resourceFrom('image/png', readSwaggerUi('favicon-32x32.png')))],
  ]);
  return (method, path, headers) => {
    const resource = resources.get(path);
    if (resource === undefined && path !== '/docs/') return null;
    if (method !== 'GET' && method !== 'HEAD') throw onlyReading(method);
    return resource === undefined ? redirect('../docs') : answerWith(resource(), headers);
  };
}

interface Resource {
  readonly etag: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

const JAVASCRIPT = 'text/javascript; charset=utf-8';

/** Names are relative, for a gateway that stands behind a path of another server. */
const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Sluice API</title>
    <link rel="icon" type="image/png" href="docs/favicon-32x32.png">
    <link rel="stylesheet" href="docs/swagger-ui.css">
  </head>
  <body>
    <div id="page"></div>
    <noscript>This page needs JavaScript; the document itself is <a href="openapi.json">openapi.json</a>.</noscript>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
`;

/** `validatorUrl`: by default the page would send the document's address to a public validator. */
const START = `SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#page',
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
`;

const PAGE_HEADERS = [
  'content-security-policy',
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy',
  'no-referrer',
  'cross-origin-opener-policy',
  'same-origin',
] as const;

function resourceFrom(type: string, content: string | Buffer, extra: readonly string[] = []): Resource {
  const body = Buffer.isBuffer(content) ? content : Buffer.from(content);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
  const headers = [
    'content-type',
    type,
    'cache-control',
    'no-cache',
    'etag',
    etag,
    'x-content-type-options',
    'nosniff',
  ];
  return { etag, headers: [...headers, ...extra], body };
}

function answerWith({ etag, headers, body }: Resource, request: readonly string[]): OwnAnswer {
  if (isKnown(etag, request)) return answer(304, headers, NOTHING);
  return answer(200, [...headers, 'content-length', String(body.length)], body);
}

function redirect(location: string): OwnAnswer {
  return answer(308, ['location', location, 'content-length', '0'], NOTHING);
}

const NOTHING = Buffer.alloc(0);

function answer(status: number, headers: readonly string[], body: Buffer): OwnAnswer {
  const reason = STATUS_CODES[status] ?? '';
  return { status, reason, headers: [...headers, 'x-sluice-request-id', nextRequestId()], body };
}

/** If-None-Match compares weakly (RFC 9110 §13.1.2): a proxy that compresses makes `"x"` into `W/"x"`. */
function isKnown(etag: string, headers: readonly string[]): boolean {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'if-none-match') continue;
    const known = (headers[i + 1] ?? '').split(',').map((each) => each.trim().replace(/^W\//, ''));
    if (known.includes(etag) || known.includes('*')) return true;
  }
  return false;
}

function onlyReading(method: string): SluiceError {
  return new SluiceError('method_not_allowed', `${method} is not allowed here; it takes GET, HEAD.`, {
    headers: ['allow', 'GET, HEAD'],
  });
}

function once<T>(make: () => T): () => T {
  let made: T | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

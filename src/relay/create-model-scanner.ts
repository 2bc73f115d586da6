import { JsonModelScanner } from './json-model-scanner.ts';
import type { ModelScanner } from './model-scanner.ts';
import { isMultipartForm, multipartBoundary } from './multipart-boundary.ts';
import { MultipartModelScanner } from './multipart-model-scanner.ts';

/** Some servers honour a charset in which other bytes than these letters spell `model`: UTF-7, UTF-16, EBCDIC. */
const FOREIGN_CHARSET =
  /charset[*\d \t]*=(?![ \t]*"?(?:utf-?8|us-ascii|ascii|iso-8859-1|latin1|windows-1252)(?:[" \t;,]|$))/i;

/** Many values, one a line: none of them is the request. */
const LINES = /^[ \t]*application\/(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines|json-seq)[ \t]*(?:;|$)/i;

/** A body of this type may name its model, so that compressing it would hide the name. */
export function mayNameModel(contentType: string | null): boolean {
  return contentType === null || /json|form|text/i.test(contentType);
}

/**
 * The scanner for a request's body, by its Content-Type (null: the request has none).
 *
 * Whatever isn't a multipart form may be JSON: `curl -d` without a header calls it `x-www-form-urlencoded`, and
 * servers that look at the body alone take it. Where it is something else the first byte tells, and the scanner is
 * inert at once.
 * @returns null where nothing may be read from the bytes: another charset, lines of JSON, a form without a usable
 *   boundary.
 */
export function createModelScanner(contentType: string | null): ModelScanner | null {
  if (contentType === null || contentType === 'application/json') return new JsonModelScanner();
  if (FOREIGN_CHARSET.test(contentType) || LINES.test(contentType)) return null;
  if (!isMultipartForm(contentType)) return new JsonModelScanner();
  const boundary = multipartBoundary(contentType);
  return boundary === null ? null : new MultipartModelScanner(boundary);
}

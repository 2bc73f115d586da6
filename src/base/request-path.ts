import { SluiceError } from './errors.ts';

/**
 * A request target, taken apart once. Routing, admission and forwarding all read this value and nothing else, so
 * they cannot disagree about where a request goes (CVE-2026-49468).
 */
export interface RequestPath {
  /** The path as sent, percent-encoding untouched; begins with a slash. */
  readonly raw: string;
  /** Behind the `?`, as sent; `` when there is none. */
  readonly query: string;
  /** The target ends in its `?`: another target than the one without (RFC 3986 §6.2.3). */
  readonly emptyQuery?: true;
}

/** Parses an origin-form request target (RFC 9112 §3.2.1). */
export function parseRequestPath(target: string): RequestPath {
  const mark = target.indexOf('?');
  if (mark === -1) return { raw: target, query: '' };
  const raw = target.slice(0, mark);
  return mark === target.length - 1
    ? { raw, query: '', emptyQuery: true }
    : { raw, query: target.slice(mark + 1) };
}

/** `.` or `..` between two slashes, each character as it is or percent-encoded any number of times. */
const DOT_SEGMENT = /(?:^|[/\\]|%(?:25)*(?:2f|5c))(?:\.|%(?:25)*2e){1,2}(?:$|[/\\;]|%(?:25)*(?:2f|5c|3b))/i;

/**
 * A dot segment under a prefix could climb out of it once the upstream resolves it (LiteLLM #26467): refused in
 * every spelling that some server decodes, `..`, `%2e%2e`, `%252e.`, `..%2f`, `..\`, `..;x`.
 * @throws SluiceError `forbidden_path`
 */
export function refuseDotSegments(path: string): void {
  if ((path.includes('.') || path.includes('%')) && DOT_SEGMENT.test(path)) {
    throw new SluiceError(
      'forbidden_path',
      'The path has a dot segment ("." or ".."): send the path it resolves to.',
    );
  }
}

/**
 * The path as the most lenient upstream would understand it, for deciding what is forbidden: decoded until it no
 * longer changes, visible ASCII alone (Starlette's `$` lets `/sleep%0A` match `/sleep`), one slash for many, each
 * segment without its parameters, lower case. Never forwarded.
 */
export function canonicalPath(path: string): string {
  let decoded = path;
  for (let round = 0; round < 4 && decoded.includes('%'); round++) {
    const next = decoded.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    if (next === decoded) break;
    decoded = next;
  }
  return decoded
    .replace(/[^!-~]/g, '')
    .replace(/[?#].*$/s, '')
    .replace(/;[^/\\]*/g, '')
    .replace(/[/\\]+/g, '/')
    .replace(/(.)\/$/, '$1')
    .toLowerCase();
}

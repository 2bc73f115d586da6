import { refersToEnvironment } from './interpolate.ts';
import { quote } from './section.ts';

export type UrlResult =
  | { readonly kind: 'url'; readonly url: string; readonly origin: string }
  | { readonly kind: 'problem'; readonly problem: string };

export interface UrlRules {
  /** The text as it stands in the file: shown in messages in the place of what a variable holds. */
  readonly raw: string;
  /** A target may bring a query and a slash at its path's end; paths are added to a base, so it can't. */
  readonly use: 'target' | 'base';
  /** Where credentials belong instead of the URL. */
  readonly credentials: string;
}

/**
 * Checks an absolute http(s) URL. The result is its origin in normal form, then path and query as they were
 * written (percent-encoding is the operator's); the path `/` counts as none. A problem names the remedy and shows
 * nothing that may be secret.
 */
export function parseHttpUrl(text: string, rules: UrlRules): UrlResult {
  const shown = quote(rules.raw);
  if (/[^\x21-\x7e]|\\/.test(text)) {
    return problem(`not a URL: ${shown} has a character that must be percent-encoded (a space, perhaps)`);
  }
  if (!/^https?:\/\/[^/]/i.test(text)) return problem(`not a URL: ${shown}${suggestion(text, rules.raw)}`);
  if (!URL.canParse(text)) return problem(`not a URL: ${shown}`);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    return problem(`has credentials in it; put them into ${rules.credentials}`);
  }
  if (text.includes('#')) return problem('has a fragment (#…), which no server ever sees; remove it');
  const query = text.includes('?') ? text.slice(text.indexOf('?')) : '';
  if (query !== '' && rules.use === 'base') {
    return problem('has a query (?…), but paths are added behind it; remove the query');
  }
  const path = pathOf(text);
  if (hasDotSegment(path)) return problem('has "." or ".." as a segment of its path; write the path without');
  const ending = rules.use === 'base' ? /\/+$/ : /^\/+$/;
  return { kind: 'url', url: url.origin + path.replace(ending, '') + query, origin: url.origin };
}

function problem(message: string): UrlResult {
  return { kind: 'problem', problem: message };
}

function pathOf(text: string): string {
  const afterScheme = text.slice(text.indexOf('://') + 3);
  const begin = afterScheme.search(/[/?]/);
  return begin === -1 ? '' : afterScheme.slice(begin).replace(/\?.*$/, '');
}

/** `.` and `..`, percent-encoded or not. */
export function hasDotSegment(path: string): boolean {
  return path.split('/').some((segment) => /^(\.|%2e){1,2}$/i.test(segment));
}

function suggestion(text: string, raw: string): string {
  if (refersToEnvironment(raw)) return '; it must begin with http:// or https://';
  const websocket = /^ws(s?):\/\/(.+)$/i.exec(text);
  if (websocket !== null) return `; did you mean http${websocket[1]?.toLowerCase()}://${websocket[2]}?`;
  const host = /^\/{0,2}(\[[\da-f:.]+\]|[a-z\d]([a-z\d.-]*[a-z\d])?)(:\d{1,5})?(\/.*)?$/i.exec(text);
  if (host === null || text.includes('@')) return '; it must begin with http:// or https://';
  const scheme = isPrivateHost(host[1] ?? '') ? 'http' : 'https';
  return `; did you mean ${scheme}://${text.replace(/^\/+/, '')}?`;
}

/** Hosts of one's own network, which speak plain HTTP more often than not. */
function isPrivateHost(host: string): boolean {
  if (!host.includes('.') || host.startsWith('[')) return true;
  return /^(127|10|0)\.|^192\.168\.|^172\.(1[6-9]|2\d|3[01])\.|\.(local|internal|localhost|svc|lan)$/.test(
    host,
  );
}

/**
 * True when a dotted name is rather a host (`api.cohere.com`) than a module and its export
 * (`custom_callbacks.anthropic_adapter`): its last part is a top-level domain that APIs live under.
 */
export function looksLikeHost(name: string): boolean {
  return /\.([a-z]{2}|app|biz|cloud|com|dev|info|internal|lan|local|net|online|org|run|site|tech|test|xyz)$/i.test(
    name,
  );
}

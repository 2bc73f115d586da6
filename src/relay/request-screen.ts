import type { Limits } from '../base/config/config.ts';
import { SluiceError } from '../base/errors.ts';

/** What a head came by; `rpc`: in a message, where no parser has looked at it. */
type Wire = 'http1' | 'http2' | 'rpc';

/**
 * A request's head as Node hands it over; `IncomingMessage` and `Http2ServerRequest` both are one. On HTTP/2 the
 * pseudo-headers stand among `rawHeaders`; nowhere else are there any.
 */
export interface RequestHead {
  readonly httpVersion: string;
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly rawHeaders: readonly string[];
}

type HeaderLimits = Pick<Limits, 'maxHeaders' | 'maxHeaderBytes'>;

/** What the header loop gathers for the rules that look at more than one field. */
interface Framing {
  hosts: number;
  host: string | null;
  authority: string | null;
  protocol: string | null;
  transferEncodings: number;
  contentLengths: number;
}

/** Visible ASCII without `#`; a fragment never travels (RFC 9112 §3.2.1). */
const TARGET = /^\/[!"$-~]*$/;
const ABSOLUTE = /^https?:\/\/([^/?#]*)([/?#].*)?$/i;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const LOWER_TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** Controls and DEL, CR, LF and NUL among them. Bytes beyond ASCII are no danger: obs-text (RFC 9110 §5.5). */
const UNSAFE_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
/** White space around a value is no part of it on HTTP/1, and malformed on HTTP/2 (RFC 9113 §8.2.1). */
const PADDED_VALUE = /^[\t ]|[\t ]$/;
/** Narrower than RFC 3986's `host`: names and addresses as they occur, so that every parser behind us agrees. */
const AUTHORITY = /^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]+)(?::([0-9]{1,5}))?$/;
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/**
 * Decides whether a request may reach the handlers. What two parsers could read in two ways is refused here, once,
 * for HTTP/1, HTTP/2 and heads in messages alike; Node's and nghttp2's own checks come before and are the first line,
 * not the only.
 *
 * @returns the request target in origin-form, untouched but for an absolute-form's authority; or the refusal.
 * Dot segments and double slashes pass: they are the dispatcher's business (base/request-path.ts).
 */
export function screenRequest(wire: Wire, head: RequestHead, limits: HeaderLimits): string | SluiceError {
  const method = head.method ?? '';
  if (wire === 'http1') {
    // llhttp lets 0.9 and 2.0 through, which have no framing of their own on this wire.
    if (head.httpVersion !== '1.1' && head.httpVersion !== '1.0') {
      return malformed('The request line names another version than HTTP/1.0 or HTTP/1.1.');
    }
  } else if (!TOKEN.test(method)) return malformed('The method is not a token.');
  if (method === 'TRACE') return methodNotAllowed(method);

  const framing: Framing = {
    hosts: 0,
    host: null,
    authority: null,
    protocol: null,
    transferEncodings: 0,
    contentLengths: 0,
  };
  const fault = gatherFraming(wire, head, limits, framing);
  if (fault !== null) return fault;

  if (method === 'CONNECT') {
    if (framing.protocol === null) return methodNotAllowed(method);
    if (framing.protocol !== 'websocket') {
      return new SluiceError('not_implemented', 'CONNECT takes the :protocol websocket only (RFC 8441).');
    }
  } else if (framing.protocol !== null) return malformed('A :protocol belongs to CONNECT (RFC 8441).');
  if (framing.contentLengths > 1) return malformed('There is more than one Content-Length.');
  if (framing.transferEncodings > 0) {
    if (framing.transferEncodings > 1) return malformed('There is more than one Transfer-Encoding.');
    if (framing.contentLengths > 0)
      return malformed('Transfer-Encoding and Content-Length exclude each other.');
    // RFC 9112 §6.1: nobody knows whether a 1.0 client meant it.
    if (head.httpVersion === '1.0') return malformed('HTTP/1.0 has no Transfer-Encoding.');
  }
  return screenTarget(wire, head, framing);
}

/** Reads the headers once; fills `framing` or returns the first fault. */
function gatherFraming(
  wire: Wire,
  head: RequestHead,
  limits: HeaderLimits,
  framing: Framing,
): SluiceError | null {
  const { rawHeaders } = head;
  let count = 0;
  let bytes = 0;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    if (UNSAFE_VALUE.test(value)) return unsafeValue(name);
    if (wire !== 'http1') {
      // How RFC 9113 §6.5.2 counts. nghttp2 does too, but only once the client has acknowledged our SETTINGS.
      bytes += name.length + value.length + 32;
      if (wire === 'http2' && name.charCodeAt(0) === 0x3a) {
        if (name === ':authority') framing.authority = value;
        else if (name === ':protocol') framing.protocol = value;
        continue;
      }
      const fault = wire === 'http2' ? http2FieldFault(name, value) : rpcFieldFault(name, value);
      if (fault !== null) return fault;
    }
    count++;
    const fault = gatherField(name, value, framing);
    if (fault !== null) return fault;
  }
  return sizeFault(count, bytes, limits);
}

function sizeFault(count: number, bytes: number, limits: HeaderLimits): SluiceError | null {
  if (count > limits.maxHeaders) {
    return new SluiceError('headers_too_large', `The request has more than ${limits.maxHeaders} headers.`);
  }
  if (bytes > limits.maxHeaderBytes) {
    return new SluiceError(
      'headers_too_large',
      `The request's headers exceed ${limits.maxHeaderBytes} bytes.`,
    );
  }
  return null;
}

/** By length first: of a usual request's headers only one or two are lowered and compared. */
function gatherField(name: string, value: string, framing: Framing): SluiceError | null {
  switch (name.length) {
    case 4:
      if (name !== 'Host' && name !== 'host' && name.toLowerCase() !== 'host') return null;
      framing.hosts++;
      framing.host = value;
      return null;
    case 14: {
      const lower = name === 'Content-Length' ? 'content-length' : name.toLowerCase();
      if (lower === 'content_length') return shadowed(name);
      if (lower !== 'content-length') return null;
      framing.contentLengths++;
      return /^[0-9]+$/.test(value) ? null : malformed('The Content-Length is not a number.');
    }
    case 17: {
      const lower = name.toLowerCase();
      if (lower === 'transfer_encoding') return shadowed(name);
      if (lower !== 'transfer-encoding') return null;
      framing.transferEncodings++;
      return value.toLowerCase() === 'chunked'
        ? null
        : malformed('The only Transfer-Encoding taken is "chunked".');
    }
    default:
      return null;
  }
}

/** RFC 9113 §8.2: what would change its meaning on the way down to HTTP/1.1. nghttp2 refuses these too. */
function http2FieldFault(name: string, value: string): SluiceError | null {
  if (!LOWER_TOKEN.test(name)) return malformed('A header name is not a lower-case token.');
  if (isOfAConnection(name)) return malformed(`The header "${name}" does not exist in HTTP/2.`);
  return name === 'te' && value.toLowerCase() !== 'trailers'
    ? malformed('In HTTP/2 the only TE is "trailers".')
    : null;
}

/** As on HTTP/2, but for the case of names; and what parsers of the wire do is done here. */
function rpcFieldFault(name: string, value: string): SluiceError | null {
  if (!TOKEN.test(name)) return malformed(`${JSON.stringify(name)} is not the name of a header.`);
  if (PADDED_VALUE.test(value)) {
    return malformed(`The header ${JSON.stringify(name)} begins or ends with white space.`);
  }
  const lower = name.toLowerCase();
  if (lower === 'upgrade') {
    return malformed(`The header "${name}" is not taken here: open websockets on the HTTP port itself.`);
  }
  if (isOfAConnection(lower)) {
    return malformed(`The header "${name}" speaks of a connection, which a call has none of: leave it out.`);
  }
  if (lower === 'te' && value.toLowerCase() !== 'trailers') {
    return malformed(`The only value of "${name}" taken is "trailers".`);
  }
  return lower === 'content-length' && !Number.isSafeInteger(Number(value))
    ? malformed('The Content-Length is not a number that can be counted to.')
    : null;
}

function isOfAConnection(lowerName: string): boolean {
  switch (lowerName) {
    case 'connection':
    case 'keep-alive':
    case 'proxy-connection':
    case 'transfer-encoding':
    case 'upgrade':
      return true;
    default:
      return false;
  }
}

/**
 * Decides whether trailers that came in a message may go on; those of the wire have been through a parser.
 * @returns the refusal, or null
 */
export function screenTrailers(rawTrailers: readonly string[], limits: HeaderLimits): SluiceError | null {
  let bytes = 0;
  for (let i = 0; i + 1 < rawTrailers.length; i += 2) {
    const name = rawTrailers[i] as string;
    const value = rawTrailers[i + 1] as string;
    if (UNSAFE_VALUE.test(value)) return unsafeValue(name);
    const fault = rpcFieldFault(name, value);
    if (fault !== null) return fault;
    bytes += name.length + value.length + 32;
  }
  return sizeFault(rawTrailers.length / 2, bytes, limits);
}

function screenTarget(wire: Wire, head: RequestHead, framing: Framing): string | SluiceError {
  const { authority } = framing;
  if (framing.hosts > 1) return malformed('There is more than one Host.');
  const host = framing.host ?? authority;
  if (host === null) {
    // A head in a message needs none: the target's own takes its place anyway.
    if (wire !== 'rpc' && head.httpVersion !== '1.0') return malformed('There is no Host.');
  } else if (!isAuthority(host))
    return malformed('The Host is not a host name or address with an optional port.');
  if (authority !== null && authority.toLowerCase() !== host?.toLowerCase()) {
    return malformed('The Host is another than the :authority.');
  }

  const target = head.url ?? '';
  if (TARGET.test(target)) return target;
  const absolute = wire === 'http1' ? ABSOLUTE.exec(target) : null;
  if (absolute === null)
    return malformed('The request target is not a path in visible ASCII without a fragment.');
  // Host decides nothing here, but a target that contradicts it would be read differently by others (RFC 9112 §3.2.2).
  if (host === null || absolute[1]?.toLowerCase() !== host.toLowerCase()) {
    return malformed('The absolute request target names another authority than Host.');
  }
  const rest = absolute[2] ?? '/';
  const origin = rest.startsWith('?') ? `/${rest}` : rest;
  return TARGET.test(origin)
    ? origin
    : malformed('The request target is not a path in visible ASCII without a fragment.');
}

/** The last one that passed: most clients of a port call it by one name. */
let knownAuthority = '';

function isAuthority(host: string): boolean {
  if (host === knownAuthority) return true;
  const parts = AUTHORITY.exec(host);
  if (parts === null || (parts[1] !== undefined && Number(parts[1]) > 65_535)) return false;
  knownAuthority = host;
  return true;
}

function unsafeValue(name: string): SluiceError {
  return malformed(`The header ${JSON.stringify(name)} holds a control character, or one beyond U+00FF.`);
}

/** `Content_Length` becomes `Content-Length` in every CGI-like environment behind us (CWE-444). */
function shadowed(name: string): SluiceError {
  return malformed(`The header ${JSON.stringify(name)} would be taken for another one.`);
}

function malformed(message: string): SluiceError {
  return new SluiceError('malformed_http', message);
}

function methodNotAllowed(method: string): SluiceError {
  return new SluiceError('method_not_allowed', `${method} is not served here.`, {
    headers: ['allow', METHODS],
  });
}

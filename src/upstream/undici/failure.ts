import { type FailureKind, UpstreamFailure } from '../client.ts';
import { ForbiddenAddress } from '../guarded-lookup.ts';

/** How far an exchange had come when it failed. */
export interface Progress {
  readonly connected: boolean;
  readonly headReceived: boolean;
}

/** OpenSSL's and Node's own names for a certificate or handshake that failed. */
const TLS_FAULT = /CERT|TLS|SSL|SELF_SIGNED|VERIFY|EPROTO|ISSUER/;

/** What undici refuses to send: a second Host, say, or a body of another length than announced. */
const REFUSED_REQUEST: ReadonlySet<string> = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
]);

/** Tells what undici's error means in the words of the contract. */
export function failureFrom(
  error: Error & { code?: string },
  where: string,
  progress: Progress,
): UpstreamFailure {
  return new UpstreamFailure(kindOf(error, progress), `${where}: ${error.message}`, error);
}

function kindOf(error: Error & { code?: string }, progress: Progress): FailureKind {
  const { name, code = '', message } = error;
  if (error instanceof ForbiddenAddress) return 'forbidden_address';
  if (REFUSED_REQUEST.has(code)) return 'protocol';
  if (!progress.connected) return TLS_FAULT.test(code) ? 'tls' : 'connect';
  // undici means to give its parser's errors a code, but looks it up the wrong way round.
  if (name === 'HTTPParserError') return message.includes('EOF') ? 'reset' : 'protocol';
  switch (code) {
    case 'UND_ERR_HEADERS_OVERFLOW':
      return 'protocol';
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      // A body that was cut short; or, before the head, any fault of a head that had named a length.
      return progress.headReceived ? 'reset' : 'protocol';
    case 'UND_ERR_SOCKET':
      // These two are undici's words for an interim 100 and for a switch that nobody asked for.
      return message === 'bad response' || message === 'bad upgrade' ? 'protocol' : 'reset';
  }
  return 'reset';
}

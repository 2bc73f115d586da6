import { STATUS_CODES } from 'node:http';
import type { SluiceError } from './errors.ts';

/** A complete HTTP response of our own. */
export interface OwnAnswer {
  readonly status: number;
  /** The status's standard phrase. */
  readonly reason: string;
  /** Raw name-value pairs, Content-Length among them. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** The one form in which an error leaves on every HTTP path that is not RPC. */
export function errorAnswer(error: SluiceError, requestId: string): OwnAnswer {
  const { status } = error;
  const body = Buffer.from(error.envelope);
  return {
    status,
    reason: STATUS_CODES[status] ?? (status === 499 ? 'Client Closed Request' : ''),
    headers: [
      'content-type',
      'application/json',
      'content-length',
      String(body.length),
      ...error.headers,
      'x-sluice-request-id',
      requestId,
    ],
    body,
  };
}

import { Code, ConnectError } from '@connectrpc/connect';
import { SluiceError, sluiceErrorFrom } from '../base/errors.ts';
import { errorDetails } from './error-details.ts';

/**
 * Converts whatever an implementation threw into what RPC clients are told. A SluiceError keeps its message, its
 * row's code and its headers (as metadata), has its details (error-details.ts), and is the `cause`; an unknown error becomes Internal without its text,
 * its SluiceError being the `cause` and the error itself that one's.
 *
 * @param signal the call's: an AbortError that it made is converted into the reason of the abort
 */
export function connectErrorFrom(thrown: unknown, signal?: AbortSignal): ConnectError {
  if (thrown instanceof ConnectError) return thrown;
  if (signal?.aborted && isAbort(thrown, signal)) return abortError(signal);
  const error = sluiceErrorFrom(thrown);
  // Half of a surrogate pair has no encoding: Connect would throw over it.
  const message = error.message.toWellFormed();
  return new ConnectError(message, Code[error.rpc], metadataOf(error), errorDetails(error), error);
}

/** Why the call was aborted: a deadline, a shutdown, or a client that left. */
export function abortError(signal: AbortSignal): ConnectError {
  const { reason } = signal;
  if (reason instanceof ConnectError || reason instanceof SluiceError) return connectErrorFrom(reason);
  return connectErrorFrom(clientLeft());
}

export function clientLeft(): SluiceError {
  return new SluiceError('client_closed', 'The client left before the call was over.');
}

/** The row of the error table that an RPC error was made from, if it was. */
export function sluiceErrorOf(error: ConnectError): SluiceError | null {
  return error.cause instanceof SluiceError ? error.cause : null;
}

function isAbort(thrown: unknown, signal: AbortSignal): boolean {
  return thrown === signal.reason || (thrown instanceof Error && thrown.name === 'AbortError');
}

function metadataOf({ headers }: SluiceError): Headers | undefined {
  if (headers.length === 0) return undefined;
  const metadata = new Headers();
  for (let i = 0; i + 1 < headers.length; i += 2) {
    metadata.append(headers[i] as string, headers[i + 1] as string);
  }
  return metadata;
}

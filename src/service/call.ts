import { type ConnectError, createContextKey } from '@connectrpc/connect';

/** What is known of one call besides its messages. Every call that comes by the RPC server has one. */
export interface Call {
  /** The request id that the caller is given in `x-sluice-request-id`. */
  readonly id: string;
  /** What it was refused or ended with, as far as that was noticed on this side of the protocol. */
  failure: ConnectError | null;
}

/** Among the ContextValues of a call: `context.values.get(callKey)?.id`. */
export const callKey = createContextKey<Call | null>(null, { description: 'call' });

/** Name of the response header, and of the error metadata of in-process calls, that has the request id. */
export const REQUEST_ID_HEADER = 'x-sluice-request-id';

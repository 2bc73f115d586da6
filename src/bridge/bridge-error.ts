import { Code } from '@connectrpc/connect';

export type Problem = 'invalid_request' | 'method_not_allowed' | 'body_too_large' | 'unsupported_media_type';

const CODES: Readonly<Record<Problem, Code>> = {
  invalid_request: Code.InvalidArgument,
  method_not_allowed: Code.Unimplemented,
  body_too_large: Code.ResourceExhausted,
  unsupported_media_type: Code.InvalidArgument,
};

const STATUSES: Readonly<Record<Problem, number>> = {
  invalid_request: 400,
  method_not_allowed: 405,
  body_too_large: 413,
  unsupported_media_type: 415,
};

export interface BridgeErrorOptions {
  /** Field, parameter or header at fault, as a path of proto names: `book.page_size`. */
  readonly param?: string;
  /** Response headers that belong to it, raw name-value pairs. */
  readonly headers?: readonly string[];
}

/** A request that the bridge itself refuses. The message may be shown: no value of the request stands in it. */
export class BridgeError extends Error {
  override readonly name = 'BridgeError';
  readonly problem: Problem;
  readonly param: string | null;
  readonly headers: readonly string[];

  constructor(problem: Problem, message: string, options: BridgeErrorOptions = {}) {
    super(message);
    this.problem = problem;
    this.param = options.param ?? null;
    this.headers = options.headers ?? [];
  }

  /** The RPC code that says the same. */
  get code(): Code {
    return CODES[this.problem];
  }

  get status(): number {
    return STATUSES[this.problem];
  }
}

/** 400 for a request that says what it may not. */
export function invalid(message: string, param?: string): BridgeError {
  return new BridgeError('invalid_request', message, param === undefined ? {} : { param });
}

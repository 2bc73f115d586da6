/**
 * The closed table of everything that Sluice itself may answer with an error. Nothing else in the house
 * chooses a status: code throws `new SluiceError(reason, …)`, and the edge (raw HTTP, REST or RPC) reads the row.
 *
 * `rpc` is the gRPC code (https://grpc.io/docs/guides/status-codes/), `status` the HTTP status,
 * `type` the `error.type` of the envelope that OpenAI and LiteLLM clients parse.
 */
const TABLE = {
  // 400: what was sent cannot be understood or would be ambiguous
  invalid_request: { rpc: 'InvalidArgument', status: 400, type: 'invalid_request_error' },
  malformed_http: { rpc: 'InvalidArgument', status: 400, type: 'invalid_request_error' },
  forbidden_path: { rpc: 'InvalidArgument', status: 400, type: 'invalid_request_error' },
  duplicate_model: { rpc: 'InvalidArgument', status: 400, type: 'invalid_request_error' },
  model_required: { rpc: 'InvalidArgument', status: 400, type: 'invalid_request_error' },
  // 401, 403: who asks
  missing_key: { rpc: 'Unauthenticated', status: 401, type: 'authentication_error' },
  malformed_key: { rpc: 'Unauthenticated', status: 401, type: 'authentication_error' },
  unknown_key: { rpc: 'Unauthenticated', status: 401, type: 'authentication_error' },
  expired_key: { rpc: 'Unauthenticated', status: 401, type: 'authentication_error' },
  blocked_key: { rpc: 'Unauthenticated', status: 401, type: 'authentication_error' },
  model_not_allowed: { rpc: 'PermissionDenied', status: 403, type: 'permission_error' },
  route_not_allowed: { rpc: 'PermissionDenied', status: 403, type: 'permission_error' },
  forbidden_host: { rpc: 'PermissionDenied', status: 403, type: 'permission_error' },
  master_key_required: { rpc: 'PermissionDenied', status: 403, type: 'permission_error' },
  // 404, 405: what is asked for
  model_not_found: { rpc: 'NotFound', status: 404, type: 'not_found_error' },
  path_not_found: { rpc: 'NotFound', status: 404, type: 'not_found_error' },
  config_not_found: { rpc: 'NotFound', status: 404, type: 'not_found_error' },
  route_not_found: { rpc: 'NotFound', status: 404, type: 'not_found_error' },
  method_not_allowed: { rpc: 'Unimplemented', status: 405, type: 'invalid_request_error' },
  // 400, 409: what stands in the way
  failed_precondition: { rpc: 'FailedPrecondition', status: 400, type: 'invalid_request_error' },
  already_exists: { rpc: 'AlreadyExists', status: 409, type: 'invalid_request_error' },
  // 429: too much
  upstream_rate_limited: { rpc: 'ResourceExhausted', status: 429, type: 'rate_limit_error' },
  key_not_found: { rpc: 'NotFound', status: 404, type: 'not_found_error' },
  // 429: how much
  rate_limited: { rpc: 'ResourceExhausted', status: 429, type: 'rate_limit_error' },
  budget_exceeded: { rpc: 'ResourceExhausted', status: 429, type: 'budget_exceeded' },
  // 4xx: how it was sent
  request_timeout: { rpc: 'DeadlineExceeded', status: 408, type: 'invalid_request_error' },
  body_too_large: { rpc: 'ResourceExhausted', status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { rpc: 'InvalidArgument', status: 415, type: 'invalid_request_error' },
  unsupported_encoding: { rpc: 'InvalidArgument', status: 415, type: 'invalid_request_error' },
  headers_too_large: { rpc: 'ResourceExhausted', status: 431, type: 'invalid_request_error' },
  client_closed: { rpc: 'Canceled', status: 499, type: 'api_error' },
  // 5xx: what became of it
  internal: { rpc: 'Internal', status: 500, type: 'api_error' },
  not_implemented: { rpc: 'Unimplemented', status: 501, type: 'api_error' },
  upstream_forbidden: { rpc: 'FailedPrecondition', status: 502, type: 'api_error' },
  upstream_unreachable: { rpc: 'Unavailable', status: 502, type: 'api_error' },
  upstream_broken: { rpc: 'Unavailable', status: 502, type: 'api_error' },
  shutting_down: { rpc: 'Unavailable', status: 503, type: 'api_error' },
  load_failed: { rpc: 'Unavailable', status: 503, type: 'api_error' },
  model_not_ready: { rpc: 'Unavailable', status: 503, type: 'api_error' },
  store_unavailable: { rpc: 'Unavailable', status: 503, type: 'api_error' },
  upstream_timeout: { rpc: 'DeadlineExceeded', status: 504, type: 'api_error' },
  // What an RPC may end with by itself, under the names of gRPC's codes
  unauthenticated: { rpc: 'Unauthenticated', status: 401, type: 'authentication_error' },
  permission_denied: { rpc: 'PermissionDenied', status: 403, type: 'permission_error' },
  not_found: { rpc: 'NotFound', status: 404, type: 'not_found_error' },
  aborted: { rpc: 'Aborted', status: 409, type: 'invalid_request_error' },
  out_of_range: { rpc: 'OutOfRange', status: 400, type: 'invalid_request_error' },
  resource_exhausted: { rpc: 'ResourceExhausted', status: 429, type: 'rate_limit_error' },
  unavailable: { rpc: 'Unavailable', status: 503, type: 'api_error' },
  deadline_exceeded: { rpc: 'DeadlineExceeded', status: 504, type: 'api_error' },
} as const;

export type Reason = keyof typeof TABLE;
export type RpcCode = (typeof TABLE)[Reason]['rpc'];

export interface SluiceErrorOptions {
  /** The request's field, header or parameter at fault; `error.param` of the envelope. */
  readonly param?: string;
  /** Response headers that belong to this refusal (`allow`, `www-authenticate`), raw name-value pairs. */
  readonly headers?: readonly string[];
  readonly cause?: unknown;
}

/** An error that Sluice answers with. `message` is shown to the client: no credential, no upstream URL in it. */
export class SluiceError extends Error {
  override readonly name = 'SluiceError';
  readonly reason: Reason;
  readonly param: string | null;
  readonly headers: readonly string[];

  constructor(reason: Reason, message: string, options: SluiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.param = options.param ?? null;
    this.headers = options.headers ?? [];
  }

  /** HTTP status of this refusal. */
  get status(): number {
    return TABLE[this.reason].status;
  }

  /** gRPC code of this refusal, by its name. */
  get rpc(): RpcCode {
    return TABLE[this.reason].rpc;
  }

  /** The JSON envelope `{"error":{"message","type","param","code"}}` that OpenAI clients read. */
  get envelope(): string {
    const { type } = TABLE[this.reason];
    return JSON.stringify({ error: { message: this.message, type, param: this.param, code: this.reason } });
  }
}

/** Converts whatever was thrown, once, at the edge; the original stays as `cause` for the log. */
export function sluiceErrorFrom(thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown;
  return new SluiceError('internal', 'Internal error; the log has the cause under this request id.', {
    cause: thrown,
  });
}

/** An answer that is no success, with the body that vLLM gives it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly type: string;
  readonly param: string | null;

  constructor(status: number, type: string, message: string, param: string | null = null) {
    super(message);
    this.status = status;
    this.type = type;
    this.param = param;
  }

  /** `{"error":{"message","type","param","code"}}`, the shape of all but /v1/messages. */
  get envelope(): object {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.status } };
  }

  /** The shape of /v1/messages. */
  get anthropicEnvelope(): object {
    return { type: 'error', error: { type: this.type, message: this.message } };
  }
}

export function badRequest(message: string, param: string | null = null): ApiError {
  return new ApiError(400, 'BadRequestError', message, param);
}

export function notFound(message: string, param: string | null = null): ApiError {
  return new ApiError(404, 'NotFoundError', message, param);
}

export function modelNotFound(model: string): ApiError {
  return notFound(`The model \`${model}\` does not exist.`, 'model');
}

/** What FastAPI's request validation says, as vLLM words it: one fault at a place in the body. */
export function invalid(kind: string, place: readonly (string | number)[], message: string): ApiError {
  const location = ['body', ...place];
  const shown = location.map((part) => (typeof part === 'number' ? part : `'${part}'`)).join(', ');
  const comma = location.length === 1 ? ',' : '';
  const detail = `{'type': '${kind}', 'loc': (${shown}${comma}), 'msg': '${message}'}`;
  return new ApiError(400, 'Bad Request', `1 validation error:\n  ${detail}`, location.join('.'));
}

/** Answers that are not in vLLM's envelope: a status and a body, null for none. */
export class PlainAnswer extends Error {
  override readonly name = 'PlainAnswer';
  readonly status: number;
  readonly body: object | null;
  readonly headers: readonly string[];

  constructor(status: number, body: object | null, headers: readonly string[] = []) {
    super(`status ${status}`);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

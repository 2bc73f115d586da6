import { Code, ConnectError } from '@connectrpc/connect';
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import { errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import { encodeGrpcMessage } from './rpc-grpc-message.ts';

/**
 * Answers a path below a served package that names no method: UNIMPLEMENTED, as trailers alone for gRPC and gRPC-Web
 * (both allow it), else as Connect's 404.
 */
export async function answerUnknownMethod(request: UniversalServerRequest): Promise<UniversalServerResponse> {
  const error = new ConnectError('There is no such method here.', Code.Unimplemented);
  const type = request.header.get('content-type') ?? '';
  if (!type.startsWith('application/grpc')) return jsonAnswer(404, error);
  const header = new Headers({
    'content-type': type,
    'grpc-status': String(error.code),
    'grpc-message': encodeGrpcMessage(error.rawMessage),
  });
  return { status: 200, header };
}

/** A call without Host: HTTP/1.0 alone can send one. */
export async function refuseWithoutHost(): Promise<UniversalServerResponse> {
  return jsonAnswer(400, new ConnectError('There is no Host.', Code.InvalidArgument));
}

/**
 * Connect's router refuses some calls with a bare status, before it knows the protocol: says in words what's wrong. In
 * plain text where clients have to take the code from the status: with an error in Connect's JSON theirs would be ours
 * (conformance suite, "unexpected-codec" and "unexpected-verb").
 */
export function explainRefusal(
  answer: UniversalServerResponse,
  { method, allowedMethods }: Pick<UniversalHandler, 'method' | 'allowedMethods'>,
): UniversalServerResponse {
  switch (answer.status) {
    case 405: {
      const allowed = [...new Set(allowedMethods)].join(', ');
      const text = `${method.name} is called with ${allowed}.`;
      return textAnswer(405, text, { allow: allowed });
    }
    case 415: {
      const types = method.methodKind === 'unary' ? UNARY_TYPES : STREAM_TYPES;
      const text = `The content type isn't one of ${types}.`;
      return textAnswer(415, text, { 'accept-post': types });
    }
    case 505: {
      const text = `${method.name} streams both ways, which takes HTTP/2.`;
      return jsonAnswer(505, new ConnectError(text, Code.Unimplemented), { connection: 'close' });
    }
    default:
      return answer;
  }
}

const GRPC_TYPES =
  'application/grpc, application/grpc+proto, application/grpc+json, application/grpc-web, application/grpc-web+proto, application/grpc-web+json';
const UNARY_TYPES = `application/json, application/proto, ${GRPC_TYPES}`;
const STREAM_TYPES = `application/connect+json, application/connect+proto, ${GRPC_TYPES}`;

function jsonAnswer(
  status: number,
  error: ConnectError,
  more: Readonly<Record<string, string>> = {},
): UniversalServerResponse {
  const body = errorToJsonBytes(error, undefined);
  const header = new Headers({
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...more,
  });
  return { status, header, body: onePiece(body) };
}

function textAnswer(
  status: number,
  text: string,
  more: Readonly<Record<string, string>>,
): UniversalServerResponse {
  const body = Buffer.from(`${text}\n`);
  const header = new Headers({
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(body.length),
    ...more,
  });
  return { status, header, body: onePiece(body) };
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

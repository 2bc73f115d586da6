import type { RpcRequest } from './rpc-body.ts';

/** What `setTimeout` can wait; a longer time would be over at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The request's headers as Connect reads them, duplicates joined, pseudo-headers left out.
 *
 * @param dropEndless leave out a deadline that no timer can hold (25 days): it is as good as none
 */
export function headersOf({ rawHeaders }: RpcRequest, dropEndless: boolean): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.charCodeAt(0) !== COLON) headers.append(name, rawHeaders[i + 1] as string);
  }
  if (dropEndless) {
    const connect = headers.get('connect-timeout-ms');
    if (connect !== null && Number(connect) > LONGEST_TIMER_MS) headers.delete('connect-timeout-ms');
    const grpc = headers.get('grpc-timeout');
    if (grpc !== null && grpcTimeoutMs(grpc) > LONGEST_TIMER_MS) headers.delete('grpc-timeout');
  }
  return headers;
}

const COLON = 0x3a;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1 };

/** Shorter units and nonsense come out as NaN and stay for Connect to read. */
function grpcTimeoutMs(value: string): number {
  return /^\d{1,8}[HMSm]$/.test(value)
    ? Number(value.slice(0, -1)) * (UNIT_MS[value.slice(-1)] ?? Number.NaN)
    : Number.NaN;
}

/** An HTTP/1.0 request may come without (the port refuses any other): RPC has no use for it. */
export function isWithoutHost(request: RpcRequest): boolean {
  return request.httpVersionMajor === 1 && request.headers.host === undefined;
}

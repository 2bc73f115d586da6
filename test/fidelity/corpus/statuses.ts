import type { Exchange } from '../exchange.ts';

const ODD = new Map([
  [218, 'This is fine'],
  [226, 'IM Used'],
  [299, ''],
  [418, "I'm a teapot"],
  [451, 'Unavailable For Legal Reasons'],
  [499, 'Client Closed Request'],
  [529, 'Overloaded'],
  [598, 'Network read timeout error'],
  [599, 'x'],
]);

/** Every final status there is, with a body where it may have one (RFC 9110 §15). */
export const STATUSES: readonly Exchange[] = Array.from({ length: 400 }, (_, i) => 200 + i).map((status) => {
  const reason = ODD.get(status) ?? `Reason ${status}`;
  const body = status === 204 || status === 205 || status === 304 ? '' : `{"status":${status}}`;
  const length = status === 204 ? [] : [`Content-Length: ${body.length}`];
  return {
    name: `status ${status}`,
    why: 'registered or not, it is the upstream’s word',
    request: { path: `/v1/status/${status}` },
    answer: [[`HTTP/1.1 ${status} ${reason}`, 'X-A: 1', ...length, '', body].join('\r\n')],
  };
});

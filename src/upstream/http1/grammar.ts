/** The peer broke HTTP/1.1 (RFC 9112); the connection cannot be trusted any further. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** RFC 9110 §5.6.2. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** What a field value must not hold (RFC 9110 §5.5): controls but for the tab; obs-text may stand. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
export const FORBIDDEN_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;

/** The field value from `from` on without the optional white space around it (RFC 9110 §5.5). */
export function trimOws(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isOws(line.charCodeAt(start))) start++;
  while (end > start && isOws(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

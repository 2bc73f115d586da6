/** Raw name-value pairs as text lines, each ended by CRLF (RFC 9112 §5). */
export function headerLines(raw: readonly string[]): string {
  let lines = '';
  for (let i = 0; i < raw.length; i += 2) lines += `${raw[i]}: ${raw[i + 1]}\r\n`;
  return lines;
}

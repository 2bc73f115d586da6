/**
 * The request line and headers as they go on the wire, latin1 (RFC 9112 §2.1). Names and values come from a
 * parser that has checked them, or from the configuration that has.
 */
export function encodeHead(method: string, path: string, headers: readonly string[]): string {
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${head}\r\n`;
}

/** The last chunk and the trailer section (RFC 9112 §7.1.2). */
export function encodeLastChunk(trailers: readonly string[]): string {
  let end = '0\r\n';
  for (let i = 0; i < trailers.length; i += 2) end += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
  return `${end}\r\n`;
}

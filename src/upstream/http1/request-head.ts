import { headerLines } from '../../base/header-lines.ts';

/**
 * The request line and headers as they go on the wire, latin1 (RFC 9112 §2.1). Names and values come from a
 * parser that has checked them, or from the configuration that has.
 */
export function encodeHead(method: string, path: string, headers: readonly string[]): string {
  return `${method} ${path} HTTP/1.1\r\n${headerLines(headers)}\r\n`;
}

/** The last chunk and the trailer section (RFC 9112 §7.1.2). */
export function encodeLastChunk(trailers: readonly string[]): string {
  return `0\r\n${headerLines(trailers)}\r\n`;
}

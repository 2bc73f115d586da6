import { expect, test } from 'vitest';
import { encodeHead, encodeLastChunk } from '../../../src/upstream/http1/request-head.ts';

test('writes names, values, order and duplicates as they are', () => {
  const head = encodeHead('M-SEARCH', '/a%2Fb?x=1&x=2', ['hOsT', 'h:1', 'X', '', 'x', ' b ', 'X', 'c\xe9']);
  expect(head).toBe('M-SEARCH /a%2Fb?x=1&x=2 HTTP/1.1\r\nhOsT: h:1\r\nX: \r\nx:  b \r\nX: c\xe9\r\n\r\n');
});

test('writes the last chunk with and without trailers', () => {
  expect(encodeLastChunk([])).toBe('0\r\n\r\n');
  expect(encodeLastChunk(['A', '1', 'a', '2'])).toBe('0\r\nA: 1\r\na: 2\r\n\r\n');
});

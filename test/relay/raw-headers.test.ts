import { describe, expect, test } from 'vitest';
import { headerLines } from '../../src/base/header-lines.ts';
import { headerName, isHopByHop, nominatedHeaders } from '../../src/relay/header-kinds.ts';
import { headerValue, http2Headers, http2Status, withoutPseudoHeaders } from '../../src/relay/raw-headers.ts';

describe('raw headers', () => {
  test('headerValue finds the first of a name in any case', () => {
    const headers = ['A', '1', 'X-B', '2', 'x-b', '3'];
    expect([headerValue(headers, 'x-b'), headerValue(headers, 'a'), headerValue(headers, 'c')]).toEqual([
      '2',
      '1',
      null,
    ]);
  });

  test('http2Headers lowers names and keeps every value in order', () => {
    expect(http2Headers(['A', '1', 'a', '2', 'B', '3', 'A', '4', '__proto__', 'x'])).toEqual(
      Object.assign(Object.create(null), { a: ['1', '2', '4'], b: '3', ['__proto__']: 'x' }),
    );
  });

  test.each([
    [
      [':method', 'GET', ':authority', 'h', 'a', '1'],
      ['host', 'h', 'a', '1'],
    ],
    [
      [':method', 'GET', 'a', '1', 'host', 'own'],
      ['a', '1', 'host', 'own'],
    ],
    [
      ['cookie', 'a=1', 'x', 'y', 'cookie', 'b=2', 'cookie', 'c=3'],
      ['host', 'h', 'cookie', 'a=1; b=2; c=3', 'x', 'y'],
    ],
  ])('withoutPseudoHeaders of %j is %j', (raw, expected) => {
    expect(withoutPseudoHeaders(raw, 'h')).toEqual(expected);
  });

  test('headerLines are as they go on the wire', () => {
    expect(headerLines(['A', '1', 'b', ''])).toBe('A: 1\r\nb: \r\n');
  });

  test.each([
    [200, 200],
    [599, 599],
    [600, 502],
    [999, 502],
  ])('HTTP/2 says %i as %i', (status, expected) => {
    expect(http2Status(status)).toBe(expected);
  });
});

describe('header kinds', () => {
  test('a name is what it is in every spelling, seen before or not', () => {
    for (let i = 0; i < 3000; i++) headerName(`x-filler-${i}`);
    for (const name of ['Transfer-Encoding', 'TRANSFER-ENCODING', 'transfer-encoding', 'Transfer-Encoding'])
      expect(headerName(name)).toEqual({ lower: 'transfer-encoding', kind: 'transfer_encoding' });
    expect(headerName('__proto__').kind).toBe('plain');
    expect(headerName('constructor').kind).toBe('plain');
  });

  test('isHopByHop', () => {
    expect(['Connection', 'TE', 'proxy-anything', 'Keep-Alive', 'Upgrade'].every(isHopByHop)).toBe(true);
    expect(['Host', 'Content-Length', 'Authorization', 'X-Proxy-A', 'Date'].some(isHopByHop)).toBe(false);
  });

  test.each([
    [['Connection', 'close'], []],
    [['A', '1'], []],
    [
      ['CONNECTION', 'X-A , x-b,,close', 'connection', 'X-C'],
      ['x-a', 'x-b', 'close', 'x-c'],
    ],
    [['Connection', 'Host, content-length, TE, Content-Type, upgrade'], ['upgrade']],
  ])('%j nominate %j', (headers, expected) => {
    expect([...nominatedHeaders(headers)]).toEqual(expected);
  });
});

import { describe, expect, test } from 'vitest';
import { downstreamHeaders, passableTrailers } from '../../src/relay/response-headers.ts';

const ID = ['x-sluice-request-id', 'id-1'];

describe('downstreamHeaders', () => {
  test("names, case, order, duplicates and odd bytes are the upstream's", () => {
    const headers = [
      ...['sERVER', 'uvicorn', 'Set-Cookie', 'a=1; Path=/', 'X-A', '', 'set-cookie', 'b=2', 'x-a', 'caf\xe9'],
      ...[
        'Content-Encoding',
        'gzip',
        'Content-Length',
        '5',
        'Content-Type',
        'text/plain',
        'Via',
        '1.1 x',
        'Vary',
        '*',
      ],
    ];
    expect(downstreamHeaders(headers, 'id-1')).toEqual([...headers, ...ID]);
  });

  test.each([
    'Connection',
    'keep-alive',
    'Proxy-Connection',
    'Proxy-Authenticate',
    'TE',
    'Trailer',
    'TRANSFER-ENCODING',
    'Upgrade',
    'HTTP2-Settings',
    'X-Sluice-Request-Id',
  ])('%s stays behind', (name) => {
    expect(downstreamHeaders(['A', '1', name, 'x', 'B', '2'], 'id-1')).toEqual(['A', '1', 'B', '2', ...ID]);
  });

  test('what Connection nominates stays behind, but for the framing', () => {
    const headers = [
      'Connection',
      'close, X-Hop, content-length, content-type',
      'X-Hop',
      '1',
      'Content-Length',
      '0',
    ];
    expect(downstreamHeaders([...headers, 'Content-Type', 'a/b'], 'id-1')).toEqual([
      ...['Content-Length', '0', 'Content-Type', 'a/b'],
      ...ID,
    ]);
  });

  test.each([
    [
      ['Content-Length', '5', 'A', '1', 'content-length', '5'],
      ['Content-Length', '5', 'A', '1'],
    ],
    [
      ['CONTENT-length', '5, 5'],
      ['CONTENT-length', '5'],
    ],
  ])('of several equal lengths one goes on: %j', (headers, expected) => {
    expect(downstreamHeaders(headers, 'id-1')).toEqual([...expected, ...ID]);
  });

  test('an upstream can not nominate the request id away', () => {
    expect(downstreamHeaders(['Connection', 'x-sluice-request-id'], 'id-1')).toEqual(ID);
  });
});

describe('passableTrailers', () => {
  test('pass as they are, in order and with duplicates', () => {
    const trailers = ['Grpc-Status', '0', 'x-sum', 'a', 'X-Sum', 'b'];
    expect(passableTrailers(trailers)).toEqual(trailers);
    expect(passableTrailers([])).toEqual([]);
  });

  test.each([
    'Content-Length',
    'Transfer-Encoding',
    'Host',
    'Connection',
    'Trailer',
    'Proxy-Authorization',
    'TE',
  ])('%s frames or routes, and stays behind', (name) => {
    expect(passableTrailers(['A', '1', name, '5'])).toEqual(['A', '1']);
  });
});

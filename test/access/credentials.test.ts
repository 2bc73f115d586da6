import { describe, expect, test } from 'vitest';
import { findCredentials } from '../../src/access/credentials.ts';

/** `carrier=key`, in the order of belief. */
function found(headers: readonly string[], query = '', keyHeader: string | null = null): string[] {
  return findCredentials(headers, query, keyHeader).map(
    ({ carrier, key }) => `${carrier.kind === 'header' ? carrier.name : carrier.kind}=${key}`,
  );
}

describe('findCredentials', () => {
  test.each([
    ['authorization', 'Authorization', 'Bearer sk-1'],
    ['authorization', 'AUTHORIZATION', 'bearer sk-1'],
    ['authorization', 'authorization', 'BEARER   sk-1 '],
    ['x-api-key', 'X-Api-Key', 'sk-1'],
    ['x-api-key', 'x-api-key', 'Bearer sk-1'],
    ['api-key', 'api-key', 'sk-1'],
    ['x-goog-api-key', 'x-goog-api-key', 'sk-1'],
    ['x-litellm-api-key', 'x-litellm-api-key', 'sk-1'],
    ['x-litellm-api-key', 'X-LiteLLM-Api-Key', 'Bearer sk-1'],
    ['subprotocol', 'Sec-WebSocket-Protocol', 'openai-insecure-api-key.sk-1'],
    ['subprotocol', 'sec-websocket-protocol', 'realtime , openai-insecure-api-key.sk-1 , v1'],
  ])('%s: "%s: %s"', (carrier, name, value) => {
    expect(found(['Accept', '*/*', name, value])).toEqual([`${carrier}=sk-1`]);
  });

  test.each([
    ['Authorization', 'sk-1'],
    ['Authorization', 'Basic sk-1'],
    ['Authorization', 'Bearer '],
    ['Authorization', 'Bearer'],
    ['Authorization', ''],
    ['x-api-key', ''],
    ['x-api-key', 'bearer   '],
  ])('no well-formed key: "%s: %s"', (name, value) => {
    expect(found([name, value])).toEqual([`${name.toLowerCase()}=null`]);
  });

  test.each([
    ['X-Authorization', 'Bearer sk-1'],
    ['x_api_key', 'sk-1'],
    ['Sec-WebSocket-Protocol', 'realtime'],
    ['Cookie', 'key=sk-1'],
  ])('no carrier: "%s: %s"', (name, value) => {
    expect(found([name, value])).toEqual([]);
  });

  test.each([
    ['key=sk-1', 'sk-1'],
    ['a=b&key=sk-1&c', 'sk-1'],
    ['key=sk%2D1', 'sk-1'],
    ['key=&key=AIza&key=sk-1', 'sk-1'],
  ])('the query "%s" carries one', (query, key) => {
    expect(found([], query)).toEqual([`query=${key}`]);
  });

  test.each(['key=AIzaSy', 'monkey=sk-1', 'key=', 'keys=sk-1', 'KEY=sk-1', 'api_key=sk-1'])(
    'the query "%s" carries none',
    (query) => {
      expect(found([], query)).toEqual([]);
    },
  );

  test("the route's own header is believed first, then the rest by their rank, whatever their order", () => {
    const headers = [
      ...['Sec-WebSocket-Protocol', 'openai-insecure-api-key.sk-7'],
      ...['x-goog-api-key', 'sk-6', 'api-key', 'sk-5', 'x-api-key', 'sk-4', 'Authorization', 'Bearer sk-3'],
      ...['x-litellm-api-key', 'sk-2', 'X-Team-Key', 'Bearer sk-1'],
    ];
    expect(found(headers, 'key=sk-8', 'x-team-key')).toEqual([
      'x-team-key=sk-1',
      'x-litellm-api-key=sk-2',
      'authorization=sk-3',
      'x-api-key=sk-4',
      'api-key=sk-5',
      'x-goog-api-key=sk-6',
      'subprotocol=sk-7',
      'query=sk-8',
    ]);
  });

  test("the route's own header may be one of the usual ones", () => {
    expect(found(['Authorization', 'Bearer sk-1', 'x-api-key', 'sk-2'], '', 'x-api-key')).toEqual([
      'x-api-key=sk-2',
      'authorization=sk-1',
    ]);
  });
});

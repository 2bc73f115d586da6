import { describe, expect, test } from 'vitest';
import { ResponseParser } from '../../../src/upstream/http1/response-parser.ts';
import { parseResponse } from './parse-response.ts';

describe('what stands behind a response', () => {
  const RESPONSE = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
  const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n';
  const BODYLESS = 'HTTP/1.1 304 Not Modified\r\n\r\n';

  test.each([RESPONSE, CHUNKED, BODYLESS])(
    'makes the connection unfit before the response is reported complete: %j',
    (text) => {
      expect(parseResponse([`${text}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`])).toMatchObject({
        reusable: false,
        trailers: [],
      });
      expect(parseResponse([`${text}\n`]).reusable).toBe(false);
    },
  );

  test('is never read as the response to a request sent in the very moment of completion', () => {
    const heads: number[] = [];
    const parser: ResponseParser = new ResponseParser({
      onHead: (head) => heads.push(head.status),
      onBody: () => {},
      onComplete: () => {
        if (parser.reusable) parser.expect('GET', false);
      },
      onSwitch: () => {},
    });
    parser.expect('GET', false);
    parser.execute(Buffer.from(`${RESPONSE}HTTP/1.1 201 Smuggled\r\nContent-Length: 0\r\n\r\n`));
    expect(heads).toEqual([200]);
  });
});

describe('switching protocols', () => {
  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

  test('hands over the head and every byte behind it', () => {
    const parsed = parseResponse([`${SWITCH}\x81\x05hello`], { mayUpgrade: true });
    expect(parsed.head?.headers).toEqual(['Upgrade', 'websocket', 'Connection', 'Upgrade']);
    expect(parsed.switchedWith).toBe('\x81\x05hello');
  });

  test('comes after interim responses too', () => {
    expect(parseResponse([`HTTP/1.1 100 Continue\r\n\r\n${SWITCH}`], { mayUpgrade: true }).switchedWith).toBe(
      '',
    );
  });

  test('reads an ordinary answer to a request for a switch', () => {
    const text = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno';
    expect(parseResponse([text], { mayUpgrade: true })).toMatchObject({ body: 'no', reusable: true });
  });
});

describe('whether a response has begun', () => {
  const sink = { onHead: () => {}, onBody: () => {}, onComplete: () => {}, onSwitch: () => {} };

  test('starts with its first byte', () => {
    const parser = new ResponseParser(sink);
    parser.expect('GET', false);
    expect(parser.begun).toBe(false);
    parser.execute(Buffer.from('H'));
    expect(parser.begun).toBe(true);
  });

  test("is told of the peer's own Keep-Alive for each response anew", () => {
    const parser = new ResponseParser(sink);
    parser.expect('GET', false);
    parser.execute(Buffer.from('HTTP/1.1 204 x\r\nKeep-Alive: max=5, timeout=7\r\n\r\n'));
    expect(parser.keepAliveHintMs).toBe(7_000);
    parser.expect('GET', false);
    parser.execute(Buffer.from('HTTP/1.1 204 x\r\n\r\n'));
    expect(parser.keepAliveHintMs).toBeNull();
  });
});

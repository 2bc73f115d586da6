import { describe, expect, test } from 'vitest';
import { ResponseParser } from '../../../src/upstream/http1/response-parser.ts';
import { everySplit, type ParseOptions, parseResponse } from './parse-response.ts';

interface Row {
  readonly name: string;
  readonly text: string;
  readonly options?: ParseOptions;
  readonly status: number;
  readonly body?: string;
  readonly length?: number | null;
  readonly trailers?: readonly string[];
  readonly reusable?: boolean;
}

const COMPLETE: readonly Row[] = [
  {
    name: 'a body with a length',
    text: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    status: 200,
    body: 'hello',
    length: 5,
  },
  {
    name: 'an empty body with a length',
    text: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    status: 200,
    length: 0,
  },
  {
    name: 'the same length twice, in two lines and in one',
    text: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2, 2\r\n\r\nhi',
    status: 200,
    body: 'hi',
    length: 2,
  },
  {
    name: 'chunks',
    text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
    status: 200,
    body: 'hello world',
    length: null,
  },
  {
    name: 'chunks with extensions, odd sizes and trailers',
    text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n005;a=b;c="d e"\r\nhello\r\nA ;x\r\n0123456789\r\n000;last\r\nX-One: 1\r\nx-two:  2 \r\n\r\n',
    status: 200,
    body: 'hello0123456789',
    trailers: ['X-One', '1', 'x-two', '2'],
  },
  {
    name: 'chunks whose data looks like framing',
    text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n',
    status: 200,
    body: '0\r\n\r\n\r\n',
  },
  {
    name: 'a 204',
    text: 'HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n',
    status: 204,
    length: null,
  },
  {
    name: 'a 304 that announces the length it would have had',
    text: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n',
    status: 304,
    length: 500,
  },
  {
    name: 'a response to HEAD with a length',
    text: 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n',
    options: { method: 'HEAD' },
    status: 200,
    length: 500,
  },
  {
    name: 'a response to HEAD with chunked',
    text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    options: { method: 'HEAD' },
    status: 200,
  },
  {
    name: 'interim responses before the final one',
    text: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    status: 200,
    body: 'hi',
  },
  {
    name: 'no reason phrase, with and without the space',
    text: 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
    status: 200,
  },
  {
    name: 'a body that ends with the connection',
    text: 'HTTP/1.1 200 OK\r\n\r\nhello',
    options: { closed: true },
    status: 200,
    body: 'hello',
    length: null,
    reusable: false,
  },
  {
    name: 'HTTP/1.0 with keep-alive and a length',
    text: 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi',
    status: 200,
    body: 'hi',
    reusable: true,
  },
  {
    name: 'HTTP/1.0 with a length alone',
    text: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    status: 200,
    body: 'hi',
    reusable: false,
  },
  {
    name: 'Connection: close among other tokens',
    text: 'HTTP/1.1 200 OK\r\nConnection: x-a, Close\r\nContent-Length: 2\r\n\r\nhi',
    status: 200,
    body: 'hi',
    reusable: false,
  },
  {
    name: 'close and keep-alive in two lines, close last',
    text: 'HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi',
    status: 200,
    body: 'hi',
    reusable: false,
  },
  {
    name: 'close and keep-alive in two lines, close first',
    text: 'HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi',
    status: 200,
    body: 'hi',
    reusable: false,
  },
  {
    name: 'a 204 that announces content, which may follow and must not be taken for a response',
    text: 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
    status: 204,
    reusable: false,
  },
  {
    name: 'obs-text and inner white space in values',
    text: 'HTTP/1.1 200 Tr\xe8s bien\r\nX:\t a\xe9  b \t\r\nY:\r\nContent-Length: 0\r\n\r\n',
    status: 200,
  },
];

describe('complete responses', () => {
  test.each(COMPLETE)('reads $name', ({ text, options, ...row }) => {
    const parsed = parseResponse([text], options);
    expect(parsed.error).toBeNull();
    expect(parsed.head?.status).toBe(row.status);
    expect(parsed.body).toBe(row.body ?? '');
    expect(parsed.trailers).toEqual(row.trailers ?? []);
    expect(parsed.reusable).toBe(row.reusable ?? true);
    if (row.length !== undefined) expect(parsed.head?.length).toBe(row.length);
  });

  test.each(COMPLETE)('reads $name the same wherever it is cut', ({ text, options }) => {
    const whole = parseResponse([text], options);
    for (const pieces of everySplit(text)) expect(parseResponse(pieces, options)).toEqual(whole);
  });

  test('keeps names, their case and order, duplicates and odd values', () => {
    const parsed = parseResponse([
      'HTTP/1.1 200 Tr\xe8s  bien \r\nSet-Cookie: a=1\r\nX-B:\tv\xe9 w \t\r\nset-COOKIE: b=2\r\nEmpty:\r\nContent-Length: 0\r\n\r\n',
    ]);
    expect(parsed.head).toEqual({
      status: 200,
      reason: 'Tr\xe8s  bien ',
      headers: [
        'Set-Cookie',
        'a=1',
        'X-B',
        'v\xe9 w',
        'set-COOKIE',
        'b=2',
        'Empty',
        '',
        'Content-Length',
        '0',
      ],
      length: 0,
    });
  });
});

const REFUSED: readonly { readonly name: string; readonly text: string; readonly options?: ParseOptions }[] =
  [
    { name: 'garbage instead of a status line', text: 'SSH-2.0-OpenSSH_9.2\r\n' },
    { name: 'garbage before a status line', text: 'x\r\nHTTP/1.1 200 OK\r\n\r\n' },
    { name: 'an empty line before a status line', text: '\r\nHTTP/1.1 200 OK\r\n\r\n' },
    { name: 'a TLS alert', text: '\x15\x03\x03\x00\x02\x02\x28' },
    { name: 'an HTTP/2 frame', text: '\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64' },
    { name: 'HTTP/2.0 in text', text: 'HTTP/2.0 200 OK\r\n\r\n' },
    { name: 'HTTP/1.2', text: 'HTTP/1.2 200 OK\r\n\r\n' },
    { name: 'a version in lower case', text: 'http/1.1 200 OK\r\n\r\n' },
    { name: 'two digits of a status', text: 'HTTP/1.1 20 OK\r\n\r\n' },
    { name: 'four digits of a status', text: 'HTTP/1.1 2000 OK\r\n\r\n' },
    { name: 'a status below 100', text: 'HTTP/1.1 099 OK\r\n\r\n' },
    { name: 'NUL in the reason', text: 'HTTP/1.1 200 O\0K\r\n\r\n' },
    { name: 'bare line feeds', text: 'HTTP/1.1 200 OK\nContent-Length: 2\n\nhi' },
    { name: 'a bare line feed between headers', text: 'HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n' },
    { name: 'a bare carriage return in a value', text: 'HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n' },
    { name: 'NUL in a value', text: 'HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n' },
    { name: 'DEL in a value', text: 'HTTP/1.1 200 OK\r\nA: b\x7f\r\n\r\n' },
    { name: 'a line without a colon', text: 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n' },
    { name: 'a name without letters', text: 'HTTP/1.1 200 OK\r\n: v\r\n\r\n' },
    { name: 'a space in a name', text: 'HTTP/1.1 200 OK\r\nA B: v\r\n\r\n' },
    { name: 'a space before the colon', text: 'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi' },
    { name: 'a folded value', text: 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n' },
    {
      name: 'two different lengths',
      text: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!',
    },
    { name: 'two different lengths in one line', text: 'HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nhi!' },
    { name: 'a signed length', text: 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi' },
    { name: 'a hexadecimal length', text: 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nhi' },
    { name: 'an empty length', text: 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhi' },
    {
      name: 'a length beyond exact numbers',
      text: 'HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\n',
    },
    {
      name: 'a length beside chunked',
      text: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    },
    {
      name: 'a length behind chunked',
      text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n',
    },
    { name: 'a coding that is not chunked', text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n' },
    { name: 'a coding before chunked', text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n' },
    { name: 'chunked written oddly', text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: "chunked"\r\n\r\n' },
    {
      name: 'chunked twice',
      text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n',
    },
    { name: 'chunked in HTTP/1.0', text: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' },
    {
      name: 'a switch that nobody asked for',
      text: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    },
    {
      name: 'an interim response cut by the end',
      text: 'HTTP/1.1 100 Continue\r\n\r\n',
      options: { closed: true },
    },
    { name: 'a head cut by the end', text: 'HTTP/1.1 200 OK\r\nContent-Le', options: { closed: true } },
    { name: 'nothing but the end', text: '', options: { closed: true } },
    {
      name: 'a body shorter than its length',
      text: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell',
      options: { closed: true },
    },
    {
      name: 'chunks without the last one',
      text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
      options: { closed: true },
    },
    {
      name: 'a last chunk without the empty line behind it',
      text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n',
      options: { closed: true },
    },
  ];

describe('broken responses', () => {
  test.each(REFUSED)('refuses $name', ({ text, options }) => {
    expect(parseResponse([text], options).error).toMatch(/^ProtocolError: /);
  });

  test.each(REFUSED)('refuses $name wherever it is cut', ({ text, options }) => {
    for (const pieces of everySplit(text)) {
      expect(parseResponse(pieces, options).error).toMatch(/^ProtocolError: /);
    }
  });

  test('refuses a head over 256 KiB, in one piece and in many', () => {
    const text = `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(256 * 1024)}\r\n\r\n`;
    expect(parseResponse([text]).error).toMatch(/256 KiB/);
    expect(parseResponse(text.match(/.{1,65536}/gs) ?? []).error).toMatch(/256 KiB/);
  });

  test('takes a head just under 256 KiB', () => {
    const text = `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(256 * 1024 - 64)}\r\nContent-Length: 0\r\n\r\n`;
    expect(parseResponse(text.match(/.{1,1000}/gs) ?? []).trailers).toEqual([]);
  });
});

describe('whether more follows in the same read', () => {
  /** What the head said of the first read, and whether something followed it there. */
  function firstRead(text: string, method = 'GET'): { more: boolean | null; followed: boolean } {
    let more: boolean | null = null;
    let followed = false;
    const follow = (): void => {
      followed = true;
    };
    const parser = new ResponseParser({
      onHead: (_head, says) => {
        more = says;
      },
      onBody: follow,
      onComplete: follow,
      onSwitch: follow,
    });
    parser.expect(method, false);
    parser.execute(Buffer.from(text, 'latin1'));
    return { more, followed };
  }

  test.each(COMPLETE)('is never promised in vain: $name', ({ text, options }) => {
    for (let at = 1; at <= text.length; at++) {
      const { more, followed } = firstRead(text.slice(0, at), options?.method);
      if (more === true) expect(followed, JSON.stringify(text.slice(0, at))).toBe(true);
    }
  });

  test('is promised when a body came with the head', () => {
    const head = 'HTTP/1.1 200 OK\r\n';
    expect(firstRead(`${head}Content-Length: 2\r\n\r\nh`).more).toBe(true);
    expect(firstRead(`${head}Content-Length: 0\r\n\r\n`).more).toBe(true);
    expect(firstRead(`${head}Transfer-Encoding: chunked\r\n\r\n2\r\nh`).more).toBe(true);
    expect(firstRead(`${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`).more).toBe(true);
    expect(firstRead(`${head}\r\nh`).more).toBe(true);
    expect(firstRead(`${head}Transfer-Encoding: chunked\r\n\r\n`).more).toBe(false);
  });
});

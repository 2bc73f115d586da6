import { describe, expect, test } from 'vitest';
import { EventStreamParser, type StreamEvent } from '../../src/models/event-stream.ts';

function parse(chunks: readonly Uint8Array[]): readonly StreamEvent[] {
  const parser = new EventStreamParser();
  return [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end()];
}

const STREAM = Buffer.from(
  [
    '\uFEFF: a comment\r\n',
    'data: {"a":"Größe 🙂"}\r\n\r\n',
    'event: error\rdata:no space\r\r',
    'data: two\ndata:  lines\nid: 7\nretry: 10\n\n',
    ': only a comment\n\n',
    'event: empty\n\n',
    'data\n\n',
    'data: [DONE]',
  ].join(''),
);

const EVENTS: readonly StreamEvent[] = [
  { event: 'message', data: '{"a":"Größe 🙂"}' },
  { event: 'error', data: 'no space' },
  { event: 'message', data: 'two\n lines' },
  { event: 'message', data: '' },
  { event: 'message', data: '[DONE]' },
];

describe('server-sent events', () => {
  test('are read whole', () => {
    expect(parse([STREAM])).toEqual(EVENTS);
  });

  test('are read the same when they are cut at any byte', () => {
    for (let at = 0; at <= STREAM.length; at++)
      expect(parse([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(EVENTS);
  });

  test('are read the same byte by byte', () => {
    expect(parse([...STREAM].map((byte) => Uint8Array.of(byte)))).toEqual(EVENTS);
  });

  test('a long event that comes in small pieces costs no more than its length', () => {
    const parser = new EventStreamParser();
    const piece = Buffer.alloc(16, 'x');
    parser.push(Buffer.from('data: '));
    for (let i = 0; i < 200_000; i++) parser.push(piece);
    const [event] = parser.push(Buffer.from('\n\n'));
    expect(event?.data.length).toBe(3_200_000);
  });

  test('an event without end is refused before it fills the memory', () => {
    const parser = new EventStreamParser();
    const piece = Buffer.alloc(1024 * 1024, 'x');
    const fill = () => {
      for (let i = 0; i < 20; i++) parser.push(piece);
    };
    expect(fill).toThrow(RangeError);
    const lines = new EventStreamParser();
    const line = Buffer.from(`data: ${'x'.repeat(1024 * 1024)}\n`);
    expect(() => {
      for (let i = 0; i < 20; i++) lines.push(line);
    }).toThrow(RangeError);
  });

  test('comments that go on for ever are no event', () => {
    const parser = new EventStreamParser();
    const comments = Buffer.from(`: ${'x'.repeat(1024 * 1024)}\n`);
    for (let i = 0; i < 20; i++) expect(parser.push(comments)).toEqual([]);
    expect(parser.push(Buffer.from('data: x\n\n'))).toEqual([{ event: 'message', data: 'x' }]);
  });
});

import { describe, expect, test } from 'vitest';
import { MultipartModelScanner } from '../../src/relay/multipart-model-scanner.ts';
import { everyChunking, type Outcome, outcomeOf, singleBytes } from './model-scanner-outcome.ts';

type Row = readonly [why: string, body: string | Buffer, outcome: Outcome];

const BOUNDARY = 'B0';
const FIELD = 'Content-Disposition: form-data; name="model"';

function found(name: string): Outcome {
  return { name, literal: name };
}

/** A part as every client writes it: delimiter line, headers, blank line, content, line break. */
function part(headers: string, content: string): string {
  return `--B0\r\n${headers}\r\n\r\n${content}\r\n`;
}

function field(name: string, value: string): string {
  return part(`Content-Disposition: form-data; name="${name}"`, value);
}

function file(content: string): string {
  return part(
    'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav',
    content,
  );
}

const A = field('model', 'a');
const END = '--B0--\r\n';

const FOUND: readonly Row[] = [
  ['alone', A + END, found('a')],
  ['behind a file, as curl -F file=@… -F model=… sends it', file('RIFF\0\r\n') + A + END, found('a')],
  ['in front of a file', A + file('RIFF') + END, found('a')],
  ['without the last line break', `${A}--B0--`, found('a')],
  ['without the closing delimiter, when another part follows', `${A}${field('n', '1')}`, found('a')],
  ['an empty value', field('model', '') + END, found('')],
  ['UTF-8, spaces and dashes in the value', field('model', ' --模型 😀-- ') + END, found(' --模型 😀-- ')],
  ['line breaks in the value are the value', field('model', 'a\r\n\r\nb\n') + END, found('a\r\n\r\nb\n')],
  ['an empty first line', `\r\n${A}${END}`, found('a')],
  ['an epilogue', `${A}${END}\r\nThe end: --B0`, found('a')],
  [
    'white space behind the boundary, which receivers must handle (RFC 2046 §5.1.1)',
    A.replace('--B0', '--B0 \t') + END,
    found('a'),
  ],
  [
    'header and parameter names in any case',
    part('CONTENT-disposition: Form-Data; NAME="model"', 'a') + END,
    found('a'),
  ],
  ['an unquoted name', part('Content-Disposition: form-data; name=model', 'a') + END, found('a')],
  [
    'no space where none is needed',
    part('Content-Disposition:form-data;name="model";', 'a') + END,
    found('a'),
  ],
  [
    'other headers and parameters',
    part(`Content-Type: text/plain\r\n${FIELD}; x=y\r\nContent-Transfer-Encoding: 8bit`, 'a') + END,
    found('a'),
  ],
  ['names that contain it', field('models', 'x') + field('the model', 'y') + A + END, found('a')],
  ['a file that is called model', part(`${FIELD}; filename="m.bin"`, 'x') + A + END, found('a')],
  [
    'a path in a file name',
    part('Content-Disposition: form-data; name="f"; filename="C:\\model\\m.wav"', 'x') + A + END,
    found('a'),
  ],
  [
    'a quote in a file name',
    part('Content-Disposition: form-data; name="f"; filename="a\\"b.wav"', 'x') + A + END,
    found('a'),
  ],
  [
    'a quote in a file name, unescaped',
    part('Content-Disposition: form-data; name="f"; filename="a"b.wav"', 'x') + A + END,
    found('a'),
  ],
  ['a part without disposition', part('Content-Type: text/plain', 'x') + A + END, found('a')],
];

const NEAR_MISSES: readonly Row[] = [
  ['the boundary inside a line', file('x--B0\r\nx') + A + END, found('a')],
  ['a longer boundary', file('\r\n--B01\r\n\r\n--B0-\r\n\r\n--B0 x\r\n') + A + END, found('a')],
  ['half a boundary', file('\r\n--B\r\n--\r\n-\r\n\r\r\n') + A + END, found('a')],
  ['dashes and line breaks that overlap', file('\r\n---B0\r\n----B0--\r\r\n--') + A + END, found('a')],
  ['a longer boundary in the value', field('model', 'a\r\n--B0x') + END, found('a\r\n--B0x')],
  ['a delimiter after LF alone that hides no model', file(`x\n${field('n', 'y')}`) + A + END, found('a')],
  ['headers in a content', file(FIELD) + A + END, found('a')],
];

const NONE: readonly Row[] = [
  ['empty', '', 'none'],
  ['no delimiter', 'model=a', 'none'],
  ['another boundary', A.replaceAll('B0', 'B1'), 'none'],
  ['text in front, where parsers differ on the first delimiter', `This is a form.\r\n${A}${END}`, 'none'],
  ['the first delimiter in the middle of a line', `\r\nx${A}${END}`, 'none'],
  ['something longer than the boundary in front', `--B01\r\n${A}${END}`, 'none'],
  ['no part', END, 'none'],
  ['no model', field('n', '1') + END, 'none'],
  ['the value breaks off', A, 'none'],
  ['the delimiter breaks off', `${A}--B0`, 'none'],
  ['the closing delimiter breaks off', `${A}--B0-`, 'none'],
  ['the delimiter line breaks off', `${A}--B0\r`, 'none'],
  ['it is behind the end', END + A + END, 'none'],
  ['another case', field('Model', 'a') + END, 'none'],
  ['a file, not a field', part(`${FIELD}; filename="a"`, 'x') + END, 'none'],
  ['an empty file name: a file for some, a field for Go', part(`${FIELD}; filename=""`, 'x') + END, 'none'],
  [
    'name* alone, which RFC 7578 does not have',
    part("Content-Disposition: form-data; name*=utf-8''model", 'x') + END,
    'none',
  ],
  ['another disposition', part('Content-Disposition: attachment; name="model"', 'x') + END, 'none'],
  ['no disposition', part('X-Name: model', 'x') + END, 'none'],
  [
    'an escape in the name: some parsers keep the backslash',
    part('Content-Disposition: form-data; name="mo\\del"', 'x') + END,
    'none',
  ],
  ['a folded header', part('Content-Disposition: form-data;\r\n name="model"', 'x') + END, 'none'],
  ['an encoded value', part(`${FIELD}\r\nContent-Transfer-Encoding: base64`, 'eA==') + END, 'none'],
  ['a value that is not UTF-8', Buffer.from(`${field('model', '\xff')}${END}`, 'latin1'), 'none'],
  [
    'LF for every CRLF: only some parsers take it',
    (A + field('n', '1') + END).replaceAll('\r\n', '\n'),
    'none',
  ],
  ['CR for every CRLF', (A + field('n', '1') + END).replaceAll('\r\n', '\r'), 'none'],
  ['the value ends at LF alone', `${A.slice(0, -2)}\n${END}`, 'none'],
  [
    'the value ends at a delimiter that ends at LF alone',
    `${A}--B0\nContent-Type: a/b\r\n\r\n\r\n${END}`,
    'none',
  ],
  ['no blank line', `--B0\r\n${FIELD}\r\n${END}`, 'none'],
  ['no line break between blank line and delimiter', `--B0\r\n${FIELD}\r\n\r\n${END}`, 'none'],
  ['a line that is no header', part(`${FIELD}\r\nx`, 'x') + END, 'none'],
  ['a name of more than 16 KiB', field('model', 'a'.repeat(17_000)) + END, 'none'],
  ['more than 16 KiB of headers', part(`X: ${'a'.repeat(17_000)}\r\n${FIELD}`, 'x') + END, 'none'],
];

const TWICE: readonly Row[] = [
  ['the same again', A + A + END, 'duplicate'],
  ['far apart', A + file('RIFF') + field('model', 'b') + END, 'duplicate'],
  ['the value of the second never comes', `${A}--B0\r\n${FIELD}\r\n\r\n`, 'duplicate'],
  ['behind the end, where a careless parser reads on', A + END + field('model', 'b'), 'duplicate'],
  ['an empty file name', A + part(`${FIELD}; filename=""`, 'b') + END, 'duplicate'],
  [
    'filename* alone: a file for some, a field for others',
    A + part(`${FIELD}; filename*=utf-8''b`, 'b') + END,
    'duplicate',
  ],
  [
    'name*, which Go decodes, and Starlette did',
    A + part("Content-Disposition: form-data; name*=utf-8''%6dodel", 'b') + END,
    'duplicate',
  ],
  [
    'in pieces, which they join',
    A + part('Content-Disposition: form-data; name*0="mo"; name*1="del"', 'b') + END,
    'duplicate',
  ],
  [
    'next to another name',
    A + part(`Content-Disposition: form-data; name="n"; name*=utf-8''model`, 'b') + END,
    'duplicate',
  ],
  [
    'two names: some take the last',
    A + part('Content-Disposition: form-data; name="n"; name="model"', 'b') + END,
    'duplicate',
  ],
  [
    'two dispositions',
    A + part(`Content-Disposition: form-data; name="n"\r\n${FIELD}`, 'b') + END,
    'duplicate',
  ],
  [
    'another disposition, which Starlette takes',
    A + part('Content-Disposition: attachment; name="model"', 'b') + END,
    'duplicate',
  ],
  ['another case, which ASP.NET takes', A + field('MODEL', 'b') + END, 'duplicate'],
  [
    'a backslash in the name',
    A + part('Content-Disposition: form-data; name="mo\\del"', 'b') + END,
    'duplicate',
  ],
  [
    'behind a quote that some parsers see closed',
    A + part('Content-Disposition: form-data; x="\\"; name=model; y=\\""', 'b') + END,
    'duplicate',
  ],
  [
    'spaces around the equals sign',
    A + part('Content-Disposition: form-data; name = "model"', 'b') + END,
    'duplicate',
  ],
  [
    'a space before the colon',
    A + part('Content-Disposition : form-data; name="model"', 'b') + END,
    'duplicate',
  ],
  ['a folded header', A + part('Content-Disposition: form-data;\r\n name="model"', 'b') + END, 'duplicate'],
  [
    'an encoded value',
    A + part(`${FIELD}\r\nContent-Transfer-Encoding: quoted-printable`, 'b') + END,
    'duplicate',
  ],
  ['in a file, behind a delimiter after LF alone', A + file(`x\n${field('model', 'b')}`) + END, 'duplicate'],
  ['in a file, behind a delimiter after CR alone', A + file(`x\r${field('model', 'b')}`) + END, 'duplicate'],
  [
    'with LF for every CRLF',
    A + field('model', 'b').replaceAll('\r\n', '\n') + field('n', '1') + END,
    'duplicate',
  ],
  [
    'behind a header block that only some parsers see ended',
    A + part(`X: y\n\n--B0\n${FIELD}`, 'b') + END,
    'duplicate',
  ],
  ['in a block that begins with a blank line', `${A}--B0\r\n\r\n${FIELD}\r\n\r\nb\r\n${END}`, 'duplicate'],
  [
    'hidden behind 16 KiB of headers',
    A + part(`X: ${'a'.repeat(17_000)}\r\n${FIELD}`, 'b') + END,
    'duplicate',
  ],
  ['a dubious one first', part(`${FIELD}; filename=""`, 'b') + A + END, 'duplicate'],
  ['the first has no valid value', Buffer.from(field('model', '\xff') + A + END, 'latin1'), 'duplicate'],
];

describe.each([
  ['finds the model', FOUND],
  ['is not misled by near misses:', NEAR_MISSES],
  ['finds nothing', NONE],
  ['refuses a second model', TWICE],
] as const)('the multipart scanner %s', (_, rows) => {
  test.each(rows)('%s', (_, body, outcome) => {
    const bytes = Buffer.from(body as Buffer);
    const chunkings = bytes.length > 1024 ? [[bytes], singleBytes(bytes)] : everyChunking(bytes);
    for (const chunks of chunkings) {
      expect(outcomeOf(new MultipartModelScanner(BOUNDARY), chunks)).toEqual(outcome);
    }
  });
});

describe('the multipart scanner', () => {
  test('gives the span of the value alone', () => {
    const scanner = new MultipartModelScanner(BOUNDARY);
    const body = field('n', '1') + A + END;
    scanner.scan(Buffer.from(body));
    const start = body.indexOf('a\r\n--B0--');
    expect(scanner.found).toEqual({ start, end: start + 1, name: 'a' });
  });

  test('refuses the second field at the end of its headers, before its value came', () => {
    const scanner = new MultipartModelScanner(BOUNDARY);
    scanner.scan(Buffer.from(`${A}--B0\r\n${FIELD}\r\n\r`));
    expect(() => scanner.scan(Buffer.from('\n'))).toThrow('more than one "model" field');
  });

  test.each([
    ['a first byte that begins no delimiter', 'R'],
    ['a first line that is no delimiter', '--B01'],
    ['the closing delimiter', field('n', '1') + END.slice(0, -2)],
    [
      'a value that cannot be read',
      `${Buffer.from(field('model', '\xff'), 'latin1').toString('latin1')}--B0--`,
    ],
    ['a value that ends at LF alone', `${A.slice(0, -2)}\n--B0--`],
    ['a part that only some parsers call model', `--B0\r\n${FIELD}; filename=""\r\n\r\n`],
  ])('lets the body flow after %s', (_, body) => {
    const scanner = new MultipartModelScanner(BOUNDARY);
    scanner.scan(Buffer.from(body.slice(0, -1), 'latin1'));
    expect(scanner.inert).toBe(false);
    scanner.scan(Buffer.from(body.slice(-1), 'latin1'));
    expect(scanner.inert).toBe(true);
  });

  test('encodes a name as it is, and none with a line break', () => {
    const scanner = new MultipartModelScanner(BOUNDARY);
    expect(scanner.encode('org/模型 "x"')).toEqual(Buffer.from('org/模型 "x"'));
    expect(() => scanner.encode('a\r\n--B0--')).toThrow('line break');
    expect(() => scanner.encode('a\n')).toThrow('line break');
  });

  // CVE-2024-8984 and its like: work that grows with the square of what an attacker repeats.
  test.each([
    ['near misses', file('').slice(0, -2), '\r\n--B0x'],
    ['the boundary inside lines', file('').slice(0, -2), '--B0'],
    ['line breaks', file('').slice(0, -2), '\r\n'],
    ['spaces behind the boundary', `${A}--B0`, ' '],
    ['header bytes', '--B0\r\n', 'x'],
    ['header lines', '--B0\r\n', 'a: b\r\n'],
    ['parameters', '--B0\r\nContent-Disposition: form-data', '; a="\\'],
    ['a value without end', A.slice(0, -2), 'a'],
    ['parts', '', field('n', '')],
  ])('takes 2 MB of %s, whole and byte by byte', (_, prefix, unit) => {
    const body = Buffer.from(prefix + unit.repeat(2_000_000 / unit.length));
    const whole = outcomeOf(new MultipartModelScanner(BOUNDARY), [body]);
    const scanner = new MultipartModelScanner(BOUNDARY);
    // Quadratic work over so many chunks would take minutes.
    for (let at = 0; at < body.length; at++) scanner.scan(body.subarray(at, at + 1));
    expect(whole).toBe('none');
    expect(scanner.found).toBeNull();
  });
});

import { describe, expect, test } from 'vitest';
import { createModelScanner } from '../../src/relay/create-model-scanner.ts';
import { JsonModelScanner } from '../../src/relay/json-model-scanner.ts';
import { multipartBoundary } from '../../src/relay/multipart-boundary.ts';
import { MultipartModelScanner } from '../../src/relay/multipart-model-scanner.ts';

const SEVENTY = 'x'.repeat(70);

describe('the boundary of a Content-Type', () => {
  test.each([
    ['unquoted', 'multipart/form-data; boundary=B0', 'B0'],
    [
      'as curl has it',
      'multipart/form-data; boundary=------------------------d74496d66958873e',
      '------------------------d74496d66958873e',
    ],
    [
      'as browsers have it',
      'multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW',
      '----WebKitFormBoundary7MA4YWxkTrZu0gW',
    ],
    ['quoted', 'multipart/form-data; boundary="B0"', 'B0'],
    [
      'quoted, with what only a quoted one may have',
      `multipart/form-data; boundary="a b'()+_,-./:=?c"`,
      "a b'()+_,-./:=?c",
    ],
    ['in any case', 'Multipart/FORM-data; BOUNDARY=B0', 'B0'],
    ['behind another parameter', 'multipart/form-data; charset=utf-8; boundary=B0', 'B0'],
    ['white space and empty parameters', ' multipart/form-data ;; boundary=B0 ; ', 'B0'],
    ['70 characters', `multipart/form-data; boundary=${SEVENTY}`, SEVENTY],
  ])('is read: %s', (_, contentType, boundary) => {
    expect(multipartBoundary(contentType)).toBe(boundary);
  });

  test.each([
    ['there is none', 'multipart/form-data'],
    ['it is empty', 'multipart/form-data; boundary='],
    ['it is empty in quotes', 'multipart/form-data; boundary=""'],
    ['it has more than 70 characters', `multipart/form-data; boundary=${SEVENTY}x`],
    ['it ends in a space', 'multipart/form-data; boundary="B0 "'],
    ['a character is none of RFC 2046', 'multipart/form-data; boundary="B#0"'],
    ['a character is none of ASCII', 'multipart/form-data; boundary="Bé"'],
    ['it is given twice: parsers take the first or the last', 'multipart/form-data; boundary=a; boundary=b'],
    ['it is given again as boundary*', "multipart/form-data; boundary=a; boundary*=utf-8''b"],
    ['it is given as boundary* alone', "multipart/form-data; boundary*=utf-8''b"],
    ['it should have been quoted: some parsers cut it', 'multipart/form-data; boundary=----=_Part'],
    ['two headers were joined', 'multipart/form-data; boundary=a, multipart/form-data; boundary=b'],
    ['a backslash is kept by some parsers', 'multipart/form-data; boundary="a\\b"'],
    ['a backslash may end another parameter', 'multipart/form-data; x="\\"; boundary=a; y=\\""; boundary=b'],
    ['a quote is missing', 'multipart/form-data; boundary="B0'],
    ['there are spaces around the equals sign', 'multipart/form-data; boundary = B0'],
    ['it is another type', 'multipart/mixed; boundary=B0'],
  ])('is null when %s', (_, contentType) => {
    expect(multipartBoundary(contentType)).toBeNull();
  });
});

describe('the scanner of a request', () => {
  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"; x=y',
    'application/json; charset=ISO-8859-1',
    'application/vnd.api+json',
    'text/json',
    'application/x-www-form-urlencoded',
    'application/octet-stream',
    'multipart/mixed; boundary=B0',
    '',
    null,
  ])('reads JSON for %j', (contentType) => {
    expect(createModelScanner(contentType)).toBeInstanceOf(JsonModelScanner);
  });

  test('reads a form for multipart/form-data', () => {
    const scanner = createModelScanner('multipart/form-data; boundary="B 0"');
    expect(scanner).toBeInstanceOf(MultipartModelScanner);
    scanner?.scan(Buffer.from('--B 0\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n--B 0--'));
    expect(scanner?.found?.name).toBe('a');
  });

  test.each([
    'application/json; charset=utf-7',
    'application/json; charset=utf-16',
    'application/json; charset=utf-8; charset="utf-7"',
    "application/json; charset*=us-ascii''utf-7",
    'application/json; charset=utf-8x',
    'multipart/form-data; boundary=B0; charset=utf-7',
  ])('is none for %j: other bytes may spell the model there', (contentType) => {
    expect(createModelScanner(contentType)).toBeNull();
  });

  test.each(['application/x-ndjson', 'application/jsonl; charset=utf-8', ' Application/JSON-seq'])(
    'is none for %j: no line is the request',
    (contentType) => {
      expect(createModelScanner(contentType)).toBeNull();
    },
  );

  test('is none for a form whose parts cannot be told apart', () => {
    expect(createModelScanner('multipart/form-data')).toBeNull();
    expect(createModelScanner('multipart/form-data; boundary=a; boundary=b')).toBeNull();
  });
});

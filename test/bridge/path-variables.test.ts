import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { askBridge, recordingBridge } from './bridge-fixture.ts';
import { buildTestProtos, serviceOf } from './protos.ts';

const service = serviceOf(buildTestProtos('kinds.proto'), 'bridge.test.v1.KindsService');

/** The request that a path becomes, or the status and message of its refusal. */
async function read(path: string): Promise<unknown> {
  const { bridge, asked } = recordingBridge(service);
  const answered = await askBridge(bridge, 'GET', path);
  if (answered === null) return '404';
  return answered.status === 200 ? asked[0]?.request : `${answered.status} ${answered.message}`;
}

const READ: readonly (readonly [path: string, request: unknown])[] = [
  // one segment: everything is decoded
  ['/string/x', { a_string: 'x' }],
  ['/string/a%2Fb%2fc', { a_string: 'a/b/c' }],
  ['/string/a+b%20c%2B', { a_string: 'a+b c+' }],
  ['/string/caf%C3%A9', { a_string: 'café' }],
  ['/string/%252F', { a_string: '%2F' }],
  ['/string/a:b', { a_string: 'a:b' }],
  ['/string/%3F%23%25', { a_string: '?#%' }],
  ['/string/%2e%2e', { a_string: '..' }],
  ['/literal/shelves', { a_string: 'shelves' }],
  ['/literal/s%68elves', { a_string: 'shelves' }],
  // several: a slash within a segment stays as it came
  ['/two/shelves/x/end', { a_string: 'shelves/x' }],
  ['/two/shelves/a%2Fb%20c/end', { a_string: 'shelves/a%2Fb c' }],
  ['/two/shelves/a%2fb%3Ac%252F/end', { a_string: 'shelves/a%2fb:c%2F' }],
  ['/rest/a/b%2Fc/%C3%A9', { a_string: 'a/b%2Fc/é' }],
  ['/rest', {}],
  ['/rest/', {}],
  ['/rest/a/', { a_string: 'a/' }],
  ['/tail/shelves', { a_string: 'shelves' }],
  ['/tail/shelves/a/b', { a_string: 'shelves/a/b' }],
  ['/verb/a/b:read', { a_string: 'a/b' }],
  ['/verb/a:read', { a_string: 'a' }],
  ['/verb/a:write', { a_string: 'a:write' }],
  // types
  ['/int32/-5', { an_int32: -5 }],
  ['/int64/9223372036854775807', { an_int64: '9223372036854775807' }],
  ['/bool/true', { a_bool: true }],
  ['/double/-1.5e3', { a_double: -1500 }],
  ['/bytes/-_8', { some_bytes: '+/8=' }],
  ['/color/COLOR_BLUE', { color: 'COLOR_BLUE' }],
  ['/color/1', { color: 'COLOR_RED' }],
  ['/optional/x', { maybe: 'x' }],
  ['/oneof/x', { chosen_text: 'x' }],
  ['/nested/a/of/b', { child: { name: 'b', child: { name: 'a' } } }],
  // refused
  ['/string/', '404'],
  ['/string/%', '400 "a_string" in the path is not percent-encoded UTF-8'],
  ['/string/%zz', '400 "a_string" in the path is not percent-encoded UTF-8'],
  ['/string/%ff', '400 "a_string" in the path is not percent-encoded UTF-8'],
  ['/string/%ED%A0%80', '400 "a_string" in the path is not percent-encoded UTF-8'],
  ['/rest/a%2F%ff', '400 "a_string" in the path is not percent-encoded UTF-8'],
  ['/rest/%2%2F', '400 "a_string" in the path is not percent-encoded UTF-8'],
  ['/int32/x', '400 "an_int32" in the path must be an integer of 32 bits'],
  ['/int32/2147483648', '400 "an_int32" in the path must be an integer of 32 bits'],
  ['/bool/1', '400 "a_bool" in the path must be true or false'],
  ['/double/.', '400 "a_double" in the path must be a number'],
  ['/bytes/A', '400 "some_bytes" in the path must be a base64 string'],
  [
    '/color/RED',
    '400 "color" in the path must be one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_BLUE, COLOR_BELOW',
  ],
  ['/literal/other', '404'],
  ['/two/other/x/end', '404'],
  ['/two/shelves/x', '404'],
];

describe('path variables', () => {
  test.for(READ)('reads %s', async ([path, request]) => {
    expect(await read(path)).toEqual(request);
  });

  const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((value) => value.isWellFormed());

  test('brings any text of one segment back', async () => {
    const { bridge, asked } = recordingBridge(service);
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        asked.length = 0;
        await askBridge(bridge, 'GET', `/string/${encodeURIComponent(value)}`);
        expect(asked).toEqual([{ method: 'Path', request: { a_string: value } }]);
      }),
      { numRuns: 200 },
    );
  });

  test('brings any texts of several segments back, their own slashes still encoded', async () => {
    const { bridge, asked } = recordingBridge(service);
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 4 }), async (values) => {
        asked.length = 0;
        await askBridge(bridge, 'GET', `/rest/${values.map(encodeURIComponent).join('/')}`);
        const expected = values.map((value) => value.replaceAll('/', '%2F')).join('/');
        expect(asked).toEqual([{ method: 'Path', request: { a_string: expected } }]);
      }),
      { numRuns: 200 },
    );
  });
});

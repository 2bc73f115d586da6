import { describe, expect, test } from 'vitest';
import { ask, recordingBridge } from './bridge-fixture.ts';
import { buildTestProtos, serviceOf } from './protos.ts';

const service = serviceOf(buildTestProtos('kinds.proto'), 'bridge.test.v1.KindsService');

async function read(target: string, method = 'GET'): Promise<unknown> {
  const { bridge, asked } = recordingBridge(service);
  const { status, text } = await ask(bridge, method, target);
  if (status !== 200) throw new Error(`${status} ${text}`);
  return asked[0]?.request;
}

async function refused(target: string, method = 'GET', body?: string): Promise<string> {
  const { bridge, asked } = recordingBridge(service);
  const { status, message } = await ask(bridge, method, target, body === undefined ? {} : { body });
  expect(status).toBe(400);
  expect(asked).toEqual([]);
  return message;
}

/** Query and the request as JSON without its zero values. */
const READ: readonly (readonly [query: string, request: unknown])[] = [
  ['', {}],
  ['&', {}],
  ['&&a_string=x&', { a_string: 'x' }],
  // texts
  ['a_string=', {}],
  ['a_string', {}],
  ['a_string=a=b', { a_string: 'a=b' }],
  ['a_string=a+b%20c%2Bd', { a_string: 'a b c+d' }],
  ['a_string=%26%3D%25%23%00', { a_string: '&=%#\0' }],
  ['a_string=caf%C3%A9%F0%9F%98%80', { a_string: 'café😀' }],
  ['a%5Fstring=x', { a_string: 'x' }],
  ['a_string=a;b', { a_string: 'a;b' }],
  // both spellings
  ['aString=x&anInt32=1', { a_string: 'x', an_int32: 1 }],
  ['named=x', { named: 'x' }],
  ['renamed=x', { named: 'x' }],
  // integers
  ['an_int32=2147483647', { an_int32: 2147483647 }],
  ['an_int32=-2147483648', { an_int32: -2147483648 }],
  ['an_int32=-0', {}],
  ['an_int32=007', { an_int32: 7 }],
  ['a_uint32=4294967295', { a_uint32: 4294967295 }],
  ['a_sint32=-1', { a_sint32: -1 }],
  ['an_int64=9223372036854775807', { an_int64: '9223372036854775807' }],
  ['an_int64=-9223372036854775808', { an_int64: '-9223372036854775808' }],
  ['an_int64=9007199254740993', { an_int64: '9007199254740993' }],
  ['a_uint64=18446744073709551615', { a_uint64: '18446744073709551615' }],
  ['a_fixed64=1', { a_fixed64: '1' }],
  // numbers
  ['a_double=1.5e300', { a_double: 1.5e300 }],
  ['a_double=-Infinity', { a_double: '-Infinity' }],
  ['a_double=NaN', { a_double: 'NaN' }],
  ['a_float=3.4028234663852886e38', { a_float: 3.4028234663852886e38 }],
  ['a_float=0.5', { a_float: 0.5 }],
  // the other scalars
  ['a_bool=true', { a_bool: true }],
  ['a_bool=false', {}],
  ['some_bytes=AQID', { some_bytes: 'AQID' }],
  ['some_bytes=-_8', { some_bytes: '+/8=' }],
  ['some_bytes=%2B%2F8%3D', { some_bytes: '+/8=' }],
  ['some_bytes=%2B%2F8=', { some_bytes: '+/8=' }],
  ['some_bytes=', {}],
  // enums, by name and number
  ['color=COLOR_RED', { color: 'COLOR_RED' }],
  ['color=2', { color: 'COLOR_BLUE' }],
  ['color=-1', { color: 'COLOR_BELOW' }],
  ['color=17', { color: 17 }],
  // presence
  ['maybe=', { maybe: '' }],
  ['chosen_number=0', { chosen_number: 0 }],
  // repeated
  ['strings=a&strings=b&strings=', { strings: ['a', 'b', ''] }],
  ['strings=a,b', { strings: ['a,b'] }],
  ['numbers=1&an_int32=5&numbers=-2', { an_int32: 5, numbers: [1, -2] }],
  ['colors=COLOR_RED&colors=2', { colors: ['COLOR_RED', 'COLOR_BLUE'] }],
  ['bools=true&bools=false', { bools: [true, false] }],
  ['longs=9007199254740993', { longs: ['9007199254740993'] }],
  // nested
  ['child.name=a&child.size=1', { child: { name: 'a', size: '1' } }],
  ['child.child.child.name=deep', { child: { child: { child: { name: 'deep' } } } }],
  ['child.tags=a&child.name=n&child.tags=b', { child: { name: 'n', tags: ['a', 'b'] } }],
  ['chosenChild.name=a', { chosen_child: { name: 'a' } }],
  // messages that are one value in JSON
  ['time=2030-01-31T12:00:00Z', { time: '2030-01-31T12:00:00Z' }],
  ['time=2030-01-31T12:00:00.123456789%2B01:00', { time: '2030-01-31T11:00:00.123456789Z' }],
  ['duration=1.5s', { duration: '1.500s' }],
  ['duration=-0.000000001s', { duration: '-0.000000001s' }],
  ['mask=aString,child.name', { mask: 'aString,child.name' }],
  ['mask=a_string,child.name', { mask: 'aString,child.name' }],
  ['wrapped_int64=0', { wrapped_int64: '0' }],
  ['wrapped_string=', { wrapped_string: '' }],
  ['wrapped_bool=false', { wrapped_bool: false }],
  ['wrapped_bytes=AQID', { wrapped_bytes: 'AQID' }],
  ['wrappedDouble=1.5', { wrapped_double: 1.5 }],
];

const REFUSED: readonly (readonly [query: string, message: string])[] = [
  // unknown
  [
    'none=1',
    'query parameter "none" is not known; there are a_string, an_int32, a_uint32, an_int64, a_uint64, a_sint32, a_fixed64, a_float, a_double, a_bool, some_bytes, color, …',
  ],
  ['=1', 'query parameter "" is not known; there are a_string,'],
  ['A_STRING=1', 'query parameter "A_STRING" is not known'],
  ['a_string[]=1', 'query parameter "a_string[]" is not known'],
  ['__proto__=1', 'query parameter "__proto__" is not known'],
  ['constructor.prototype=1', 'query parameter "constructor.prototype" is not known'],
  ['child.none=1', 'query parameter "child.none" is not known; there are name, child, tags, size'],
  ['child.=1', 'query parameter "child." is not known'],
  ['child..name=1', 'query parameter "child..name" is not known'],
  ['.child=1', 'query parameter ".child" is not known'],
  ['a_string.x=1', 'query parameter "a_string.x" is not known'],
  ['time.seconds=1', 'query parameter "time.seconds" is not known'],
  ['wrapped_int64.value=1', 'query parameter "wrapped_int64.value" is not known'],
  ['strings.x=1', 'query parameter "strings.x" is not known'],
  ['children.name=1', 'query parameter "children.name" is not known'],
  ['labels.key=1', 'query parameter "labels.key" is not known'],
  [`${'x'.repeat(1000)}=1`, `query parameter "${'x'.repeat(100)}…" is not known`],
  [`${'child.'.repeat(101)}name=1`, 'is nested more than 100 levels deep'],
  // what a query can't hold
  [
    'child=x',
    'query parameter "child" has fields of its own: use child.name, child.child, child.tags, child.size',
  ],
  ['children=x', 'query parameter "children" is a list of messages, which a query can not hold'],
  ['times=2030-01-31T12:00:00Z', 'query parameter "times" is a list of messages, which a query can not hold'],
  ['labels=x', 'query parameter "labels" is a map, which a query can not hold'],
  ['struct=x', 'query parameter "struct" can hold any JSON, which a query can not'],
  ['struct.fields=x', 'query parameter "struct.fields" is not known'],
  ['value=1', 'query parameter "value" can hold any JSON, which a query can not'],
  ['value.number_value=1', 'query parameter "value.number_value" is not known'],
  ['any=x', 'query parameter "any" can hold any JSON, which a query can not'],
  // more than once
  ['a_string=a&a_string=b', 'query parameter "a_string" is given more than once'],
  ['a_string=a&aString=a', 'query parameter "a_string" is given more than once'],
  ['child.name=a&child.name=b', 'query parameter "child.name" is given more than once'],
  [
    'chosen_text=a&chosen_number=1',
    'parameter "chosen_number" must not be given together with "chosen_text"',
  ],
  [
    'chosen_text=a&chosen_child.name=1',
    'parameter "chosen_child" must not be given together with "chosen_text"',
  ],
  // wrong types
  ['an_int32=x', 'query parameter "an_int32" must be an integer of 32 bits'],
  ['an_int32=', 'query parameter "an_int32" must be an integer of 32 bits'],
  ['an_int32=1.0', 'query parameter "an_int32" must be an integer of 32 bits'],
  ['an_int32=1e3', 'query parameter "an_int32" must be an integer of 32 bits'],
  ['an_int32=0x10', 'query parameter "an_int32" must be an integer of 32 bits'],
  ['an_int32=+1', 'query parameter "an_int32" must be an integer of 32 bits'],
  ['an_int32=%201', 'query parameter "an_int32" must be an integer of 32 bits'],
  ['an_int32=2147483648', 'query parameter "an_int32" must be an integer of 32 bits'],
  ['an_int32=1&an_int32=x', 'query parameter "an_int32" must be an integer of 32 bits'],
  ['a_uint32=-1', 'query parameter "a_uint32" must be an integer of 32 bits, 0 or more'],
  ['a_uint32=4294967296', 'query parameter "a_uint32" must be an integer of 32 bits, 0 or more'],
  ['an_int64=9223372036854775808', 'query parameter "an_int64" must be an integer of 64 bits'],
  [`an_int64=${'9'.repeat(5000)}`, 'query parameter "an_int64" must be an integer of 64 bits'],
  ['a_uint64=-1', 'query parameter "a_uint64" must be an integer of 64 bits, 0 or more'],
  ['a_uint64=18446744073709551616', 'query parameter "a_uint64" must be an integer of 64 bits, 0 or more'],
  ['a_double=x', 'query parameter "a_double" must be a number'],
  ['a_double=', 'query parameter "a_double" must be a number'],
  ['a_double=1e999', 'query parameter "a_double" must be a number'],
  ['a_double=infinity', 'query parameter "a_double" must be a number'],
  ['a_double=.5', 'query parameter "a_double" must be a number'],
  ['a_float=3.5e38', 'query parameter "a_float" must be a number'],
  ['a_bool', 'query parameter "a_bool" must be true or false'],
  ['a_bool=1', 'query parameter "a_bool" must be true or false'],
  ['a_bool=TRUE', 'query parameter "a_bool" must be true or false'],
  ['some_bytes=A', 'query parameter "some_bytes" must be a base64 string'],
  ['some_bytes=A*ID', 'query parameter "some_bytes" must be a base64 string'],
  ['some_bytes=A=', 'query parameter "some_bytes" must be a base64 string'],
  [
    'color=RED',
    'query parameter "color" must be one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_BLUE, COLOR_BELOW',
  ],
  ['color=2147483648', 'query parameter "color" must be one of'],
  ['color=1.0', 'query parameter "color" must be one of'],
  ['colors=COLOR_RED&colors=', 'query parameter "colors" must be one of'],
  ['time=today', 'query parameter "time" must be a time such as "2030-01-31T12:00:00Z" (RFC 3339)'],
  ['time=2030-02-31T12:00:00Z', 'parameter "time" must be a time such as "2030-01-31T12:00:00Z" (RFC 3339)'],
  ['time=2030-01-31T24:00:00Z', 'query parameter "time" must be a time such as'],
  ['time=2030-13-01T12:00:00Z', 'query parameter "time" must be a time such as'],
  ['time=2030-01-31', 'query parameter "time" must be a time such as'],
  ['time=0000-01-01T00:00:00Z', 'parameter "time" must be a time such as "2030-01-31T12:00:00Z" (RFC 3339)'],
  ['duration=1', 'query parameter "duration" must be seconds such as "1.5s"'],
  ['duration=1sx', 'query parameter "duration" must be seconds such as "1.5s"'],
  ['duration=1.0123456789s', 'query parameter "duration" must be seconds such as "1.5s"'],
  ['duration=315576000001s', 'query parameter "duration" must be seconds such as "1.5s"'],
  ['mask=a_1', 'parameter "mask" must be field names with commas between them, such as "name,page_size"'],
  ['wrapped_int64=x', 'query parameter "wrapped_int64" must be an integer of 64 bits'],
  ['wrapped_bool=', 'query parameter "wrapped_bool" must be true or false'],
  // percent-encoding
  ['a_string=%', 'query parameter "a_string" is not percent-encoded UTF-8'],
  ['a_string=%zz', 'query parameter "a_string" is not percent-encoded UTF-8'],
  ['a_string=%ff', 'query parameter "a_string" is not percent-encoded UTF-8'],
  ['a_string=%C0%80', 'query parameter "a_string" is not percent-encoded UTF-8'],
  ['a_string=%ED%A0%80', 'query parameter "a_string" is not percent-encoded UTF-8'],
  ['%ff=1', "a query parameter's name is not percent-encoded UTF-8"],
];

describe('query parameters', () => {
  test.for(READ)('reads ?%s', async ([query, request]) => {
    expect(await read(`/query?${query}`)).toEqual(request);
  });

  test.for(REFUSED)('refuses ?%s', async ([query, message]) => {
    expect(await refused(`/query?${query}`)).toContain(message);
  });

  test('never override what the path or the body says', async () => {
    expect(await refused('/string/x?a_string=y')).toBe(
      'query parameter "a_string" is given by the path already',
    );
    expect(await refused('/string/x?aString=x')).toBe(
      'query parameter "a_string" is given by the path already',
    );
    expect(await refused('/nested/a/of/b?child.child.name=y')).toBe(
      'query parameter "child.child.name" is given by the path already',
    );
    expect(await refused('/child/x?child.size=1', 'POST', '{}')).toBe(
      'query parameter "child.size" belongs into the request body',
    );
    expect(await refused('/child/x?child=1', 'POST')).toBe(
      'query parameter "child" belongs into the request body',
    );
    expect(await refused('/body?a_string=x', 'POST', '{}')).toBe(
      'query parameter "a_string" is not taken: all that is not in the path belongs into the JSON body here',
    );
    expect(await refused('/strings?strings=x', 'POST', '["a"]')).toBe(
      'query parameter "strings" belongs into the request body',
    );
  });

  test('stand beside the path and the body', async () => {
    expect(await read('/nested/a/of/b?child.size=3&child.child.size=4&an_int32=5')).toEqual({
      an_int32: 5,
      child: { name: 'b', size: '3', child: { name: 'a', size: '4' } },
    });
    const { bridge, asked } = recordingBridge(service);
    await ask(bridge, 'POST', '/child/x?an_int32=5', { body: '{"name":"n"}' });
    expect(asked[0]?.request).toEqual({ a_string: 'x', an_int32: 5, child: { name: 'n' } });
  });

  test('are read anew with each request', async () => {
    const { bridge, asked } = recordingBridge(service);
    for (const name of ['a', 'b']) {
      await ask(bridge, 'GET', `/query?strings=${name}&child.tags=${name}`);
    }
    expect(asked.map(({ request }) => request)).toEqual([
      { strings: ['a'], child: { tags: ['a'] } },
      { strings: ['b'], child: { tags: ['b'] } },
    ]);
  });

  test('take little time by the thousand', async () => {
    const { bridge, asked } = recordingBridge(service);
    const started = performance.now();
    const { status } = await ask(bridge, 'GET', `/query?${'numbers=1&'.repeat(20_000)}`);
    expect(status).toBe(200);
    expect(asked[0]?.request).toEqual({ numbers: Array.from({ length: 20_000 }, () => 1) });
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

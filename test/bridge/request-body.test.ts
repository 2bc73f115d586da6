import { createRegistry, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bindingsOf } from '../../src/bridge/binding.ts';
import { RequestDecoder } from '../../src/bridge/request-decoder.ts';
import { type Asked, ask, recordingBridge } from './bridge-fixture.ts';
import { buildTestProtos, serviceOf } from './protos.ts';

const service = serviceOf(buildTestProtos('kinds.proto'), 'bridge.test.v1.KindsService');

/** The request that a body becomes, or the status and message of its refusal. */
async function read(target: string, asked: Asked): Promise<unknown> {
  const recording = recordingBridge(service);
  const [method, path] = target.split(' ') as [string, string];
  const answered = await ask(recording.bridge, method, path, asked);
  return answered.status === 200 ? recording.asked[0]?.request : `${answered.status} ${answered.message}`;
}

/** The body of `POST /body` and the request as JSON without its zero values. */
const READ: readonly (readonly [body: string, request: unknown])[] = [
  ['', {}],
  ['{}', {}],
  [' \n{\t}\r', {}],
  ['\ufeff{"a_string":"x"}', { a_string: 'x' }],
  ['{"a_string":"x","anInt32":1}', { a_string: 'x', an_int32: 1 }],
  ['{"named":"x"}', { named: 'x' }],
  ['{"renamed":"x"}', { named: 'x' }],
  ['{"a_string":"caf\\u00e9 é 😀"}', { a_string: 'café é 😀' }],
  ['{"an_int32":1.0}', { an_int32: 1 }],
  ['{"an_int32":"5"}', { an_int32: 5 }],
  ['{"an_int64":9007199254740991}', { an_int64: '9007199254740991' }],
  ['{"an_int64":"-9223372036854775808"}', { an_int64: '-9223372036854775808' }],
  ['{"a_uint64":"18446744073709551615"}', { a_uint64: '18446744073709551615' }],
  ['{"a_double":1e300,"a_float":0.5}', { a_double: 1e300, a_float: 0.5 }],
  ['{"a_double":"NaN"}', { a_double: 'NaN' }],
  ['{"a_double":12345678901234567000}', { a_double: 12345678901234567000 }],
  ['{"some_bytes":"AQID"}', { some_bytes: 'AQID' }],
  [
    '{"color":"COLOR_RED","colors":[2,"COLOR_RED"]}',
    { color: 'COLOR_RED', colors: ['COLOR_BLUE', 'COLOR_RED'] },
  ],
  ['{"child":{"name":"a","child":{"tags":["x"]}}}', { child: { name: 'a', child: { tags: ['x'] } } }],
  ['{"children":[{"name":"a"},{}]}', { children: [{ name: 'a' }, {}] }],
  ['{"labels":{"a":"b","__proto__":"c"}}', { labels: JSON.parse('{"a":"b","__proto__":"c"}') }],
  ['{"shelves":{"1":{"name":"a"}}}', { shelves: { 1: { name: 'a' } } }],
  ['{"a_string":null,"child":null,"strings":null,"labels":null,"color":null,"time":null}', {}],
  ['{"chosen_text":null,"chosen_number":0}', { chosen_number: 0 }],
  ['{"maybe":""}', { maybe: '' }],
  ['{"value":null}', { value: null }],
  ['{"value":[1,{"a":null}]}', { value: [1, { a: null }] }],
  [
    '{"struct":{"a":{"b":[true,null,1.5]},"__proto__":1}}',
    { struct: JSON.parse('{"a":{"b":[true,null,1.5]},"__proto__":1}') },
  ],
  [
    '{"struct":{"large":1e300,"beyond":9007199254740992}}',
    { struct: { large: 1e300, beyond: 9007199254740992 } },
  ],
  ['{"time":"2030-01-31T12:00:00Z","duration":"1.5s"}', { time: '2030-01-31T12:00:00Z', duration: '1.500s' }],
  ['{"mask":"a_string,child.child"}', { mask: 'aString,child.child' }],
  ['{"mask":"aString"}', { mask: 'aString' }],
  ['{"mask":""}', { mask: '' }],
  [
    '{"masked":{"list":["a_b","cD"],"byName":{"x_y":"a_b"},"masked":{"chosen":"a_b.c_d"},"nested":{"k":{"chosen":"a_b"}},"more":[{"chosen":"a_b"},{}]}}',
    {
      masked: {
        list: ['aB', 'cD'],
        by_name: { x_y: 'aB' },
        masked: { chosen: 'aB.cD' },
        nested: { k: { chosen: 'aB' } },
        more: [{ chosen: 'aB' }, {}],
      },
    },
  ],
  ['{"masked":null,"struct":{"mask":"a_b"}}', { struct: { mask: 'a_b' } }],
  [
    '{"wrapped_int64":"9007199254740993","wrapped_bool":false}',
    { wrapped_int64: '9007199254740993', wrapped_bool: false },
  ],
  [
    '{"any":{"@type":"type.googleapis.com/bridge.test.v1.Child","name":"a"}}',
    { any: { '@type': 'type.googleapis.com/bridge.test.v1.Child', name: 'a' } },
  ],
];

const NESTED = (levels: number) => `{"struct":${'{"a":'.repeat(levels - 1)}1${'}'.repeat(levels - 1)}}`;

const REFUSED: readonly (readonly [body: string, message: string])[] = [
  // not an object
  ['[]', 'the body must be a JSON object'],
  ['null', 'the body must be a JSON object'],
  ['"x"', 'the body must be a JSON object'],
  ['1', 'the body must be a JSON object'],
  // not JSON
  ['{', 'the body is not JSON: it ends at character 2, where a key in quotation marks is expected'],
  ['a_string=x', 'the body is not JSON: it has "a" at character 1, where a value is expected'],
  [
    '{"a_string":1,}',
    'the body is not JSON: it has "}" at character 15, where a key in quotation marks is expected',
  ],
  [' ', 'the body is not JSON: it ends at character 2, where a value is expected'],
  // what JSON.parse lets pass
  ['{"a_string":"x","a_string":"y"}', 'field "a_string" is given twice'],
  ['{"a_string":"x","aString":"y"}', 'field "a_string" is given twice, as "a_string" and as "aString"'],
  ['{"struct":{"a":[{"b":1,"b":1}]}}', 'field "struct.a[0].b" is given twice'],
  ['{"labels":{"a":"b","a":"c"}}', 'field "labels.a" is given twice'],
  ['{"shelves":{"1":{},"01":{}}}', 'field "shelves" has a key in two spellings'],
  ['{"a_string":"\\ud800"}', 'field "a_string" has half of a surrogate pair (\\ud800 to \\udfff)'],
  // numbers that would change
  [
    '{"an_int64":9007199254740993}',
    'field "an_int64" is an integer that a JSON number holds only roughly: send it as a string',
  ],
  [
    '{"an_int64":9007199254740992}',
    'field "an_int64" must be a string: a JSON number holds integers beyond 2^53 only roughly',
  ],
  ['{"an_int64":1e16}', 'field "an_int64" must be a string: a JSON number'],
  ['{"a_uint64":9007199254740993.0}', 'field "a_uint64" must be a string: a JSON number'],
  ['{"longs":[1,1e16]}', 'field "longs[1]" must be a string: a JSON number'],
  ['{"sizes":{"a":1e16}}', 'field "sizes.a" must be a string: a JSON number'],
  ['{"children":[{"size":1e16}]}', 'field "children[0].size" must be a string: a JSON number'],
  ['{"wrapped_int64":1e16}', 'field "wrapped_int64" must be a string: a JSON number'],
  [
    '{"struct":{"seed":12345678901234567891}}',
    'field "struct.seed" is an integer that a JSON number holds only roughly: send it as a string',
  ],
  ['{"a_double":1e999}', 'field "a_double" is a number too large for a double'],
  // unknown
  ['{"none":1}', 'field "none" is not known; there are a_string, an_int32,'],
  ['{"child":{"none":1}}', 'field "child.none" is not known; there are name, child, tags, size'],
  ['{"children":[{},{"none":1}]}', 'field "children[1].none" is not known'],
  ['{"shelves":{"7":{"none":1}}}', 'field "shelves.7.none" is not known'],
  ['{"__proto__":{"a_string":"x"}}', 'field "__proto__" is not known'],
  [`{"${'x'.repeat(500)}":1}`, `field "${'x'.repeat(200)}…" is not known`],
  // wrong types
  ['{"a_string":1}', 'field "a_string" must be a string, not a number'],
  ['{"a_string":true}', 'field "a_string" must be a string, not true'],
  ['{"a_string":{}}', 'field "a_string" must be a string, not an object'],
  ['{"an_int32":"x"}', 'field "an_int32" must be an integer of 32 bits'],
  ['{"an_int32":1.5}', 'field "an_int32" must be an integer of 32 bits, not a number'],
  ['{"an_int32":2147483648}', 'field "an_int32" must be an integer of 32 bits'],
  ['{"a_uint32":-1}', 'field "a_uint32" must be an integer of 32 bits, 0 or more'],
  ['{"an_int64":1.5}', 'field "an_int64" must be an integer of 64 bits'],
  ['{"an_int64":"9223372036854775808"}', 'field "an_int64" must be an integer of 64 bits'],
  ['{"a_float":1e39}', 'field "a_float" must be a number'],
  ['{"a_bool":"true"}', 'field "a_bool" must be true or false'],
  ['{"a_bool":0}', 'field "a_bool" must be true or false, not a number'],
  ['{"some_bytes":"*"}', 'field "some_bytes" must be a base64 string'],
  ['{"color":"RED"}', 'field "color" must be one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_BLUE, COLOR_BELOW'],
  ['{"color":1.5}', 'field "color" must be one of'],
  ['{"child":"x"}', 'field "child" must be an object, not a string'],
  ['{"child":[]}', 'field "child" must be an object, not an array'],
  ['{"strings":"x"}', 'field "strings" must be an array, not a string'],
  ['{"strings":["a",null]}', 'field "strings[1]" must be a string, not null'],
  ['{"numbers":[1,"x"]}', 'field "numbers[1]" must be an integer of 32 bits'],
  ['{"children":[{},null]}', 'field "children[1]" must be an object, not null'],
  ['{"children":{}}', 'field "children" must be an array, not an object'],
  ['{"labels":[]}', 'field "labels" must be an object, not an array'],
  ['{"labels":{"a":1}}', 'field "labels.a" must be a string, not a number'],
  ['{"labels":{"a":null}}', 'field "labels.a" must be a string, not null'],
  ['{"shelves":{"x":{}}}', 'field "shelves.x" must have an integer of 32 bits as its key'],
  ['{"shelves":{"1":null}}', 'field "shelves.1" must be an object, not null'],
  [
    '{"chosen_text":"a","chosen_number":1}',
    'field "chosen_number" must not be given together with "chosen_text"',
  ],
  ['{"time":"today"}', 'field "time" must be a time such as "2030-01-31T12:00:00Z" (RFC 3339)'],
  ['{"time":5}', 'field "time" must be a time such as "2030-01-31T12:00:00Z" (RFC 3339), not a number'],
  ['{"times":["2030-01-31T12:00:00Z","x"]}', 'field "times[1]" must be a time'],
  ['{"duration":"1"}', 'field "duration" must be seconds such as "1.5s"'],
  ['{"duration":"1.0123456789s"}', 'field "duration" must be seconds such as "1.5s"'],
  ['{"mask":"a_1"}', 'field "mask" must be field names'],
  [
    '{"mask":["a"]}',
    'field "mask" must be field names with commas between them, such as "name,page_size", not an array',
  ],
  ['{"wrapped_string":1}', 'field "wrapped_string" must be a string, not a number'],
  ['{"struct":[]}', 'field "struct" must be an object, not an array'],
  [
    '{"any":{"@type":"type.googleapis.com/none"}}',
    'field "any" must be an object with an "@type" that is known here',
  ],
  [NESTED(101), 'is nested more than 100 levels deep'],
];

describe('request bodies', () => {
  test.for(READ)('reads %s', async ([body, request]) => {
    expect(await read('POST /body', { body })).toEqual(request);
  });

  test.for(REFUSED)('refuses %s', async ([body, message]) => {
    const answer = await read('POST /body', { body });
    expect(answer).toMatch(/^400 /);
    expect(answer).toContain(message);
  });

  test('takes 100 levels', () => {
    const binding = bindingsOf([service]).find(({ template }) => template.source === '/body');
    if (binding === undefined) throw new Error('no /body');
    const decoder = new RequestDecoder(binding, createRegistry());
    const { input } = binding.method;
    const children = `${'{"child":'.repeat(99)}{}${'}'.repeat(99)}`;
    const arrays = `{"value":${'['.repeat(99)}${']'.repeat(99)}}`;
    for (const text of [NESTED(100), children, arrays]) {
      const parts = { segments: [], query: '', contentType: null, body: Buffer.from(text) };
      const message = decoder.decode(parts);
      expect(toJson(input, message, { useProtoFieldName: true })).toEqual(JSON.parse(text));
    }
  });

  test.for([
    [new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'a byte that none begins with'],
    [new Uint8Array([0x22, 0xc3]), 'half a character'],
    [new Uint8Array([0x22, 0xc0, 0x80, 0x22]), 'too long a form'],
    [new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]), 'a surrogate'],
    [new Uint8Array(Buffer.from('\ufeff{}', 'utf16le')), 'UTF-16'],
  ] as const)('refuses %j: %s', async ([body]) => {
    expect(await read('POST /body', { body })).toBe('400 the body is not UTF-8');
  });

  test('names no value in its errors', async () => {
    for (const body of ['{"an_int32":"sk-secret"}', '{"child":"sk-secret"}', '{"time":"sk-secret"}']) {
      expect(await read('POST /body', { body })).not.toContain('secret');
    }
  });

  test.for([
    // body: "child"
    ['POST /child/x', '{"name":"n"}', { a_string: 'x', child: { name: 'n' } }],
    ['POST /child/x', '', { a_string: 'x' }],
    ['POST /child/x', '{"none":1}', '400 field "child.none" is not known; there are name, child, tags, size'],
    ['POST /child/x', '[]', '400 field "child" must be an object, not an array'],
    ['POST /child/x', 'null', '400 the body must be an object, not null'],
    // a path variable within the body's field
    ['PUT /child/n', '{"size":"1"}', { child: { name: 'n', size: '1' } }],
    ['PUT /child/n', '{"name":"n"}', { child: { name: 'n' } }],
    ['PUT /child/n', '', { child: { name: 'n' } }],
    [
      'PUT /child/n',
      '{"name":"other"}',
      '400 "child.name" differs in the path and in the body: leave it out of the body',
    ],
    [
      'PUT /child/n',
      '{"name":{}}',
      '400 "child.name" differs in the path and in the body: leave it out of the body',
    ],
    ['PUT /child/n', '5', '400 field "child" must be an object, not a number'],
    // bodies that are no messages
    ['POST /strings', '["a","b"]', { strings: ['a', 'b'] }],
    ['POST /strings', '[]', {}],
    ['POST /strings', '[1]', '400 field "strings[0]" must be a string, not a number'],
    ['POST /strings', 'null', '400 the body must be an array, not null'],
    ['POST /number', '5', { an_int64: '5' }],
    ['POST /number', '"9007199254740993"', { an_int64: '9007199254740993' }],
    [
      'POST /number',
      '9007199254740992',
      '400 field "an_int64" must be a string: a JSON number holds integers beyond 2^53 only roughly',
    ],
    // body: "*" beside path variables
    ['POST /whole/5/n', '{"a_string":"x"}', { an_int32: 5, a_string: 'x', child: { name: 'n' } }],
    [
      'POST /whole/5/n',
      '{"anInt32":5,"child":{"name":"n","size":1}}',
      { an_int32: 5, child: { name: 'n', size: '1' } },
    ],
    ['POST /whole/5/n', '{"an_int32":"5","child":null}', { an_int32: 5, child: { name: 'n' } }],
    [
      'POST /whole/5/n',
      '{"anInt32":6}',
      '400 "an_int32" differs in the path and in the body: leave it out of the body',
    ],
    ['POST /whole/5/n', '{"child":[]}', '400 field "child" must be an object, not an array'],
    // no body at all
    ['GET /query', '{}', '400 this method takes no request body: send parameters in path and query'],
    ['GET /string/x', ' ', '400 this method takes no request body: send parameters in path and query'],
    ['GET /string/x', '', { a_string: 'x' }],
  ] as const)('of %s with the body %s makes %j', async ([target, body, request]) => {
    expect(await read(target, { body })).toEqual(request);
  });

  test.for([
    [[], 200],
    [['content-type', 'application/json'], 200],
    [['Content-Type', 'Application/JSON ; charset=UTF-8'], 200],
    [['content-type', 'application/json;charset="utf-8";v=1'], 200],
    [['content-type', 'application/json', 'content-encoding', 'identity'], 200],
    [['content-type', 'application/json; charset=latin1'], 415],
    [['content-type', 'application/json5'], 415],
    [['content-type', 'text/json'], 415],
    [['content-type', 'application/x-www-form-urlencoded'], 415],
    [['content-type', ''], 415],
    [['content-type', 'application/json', 'content-encoding', 'gzip'], 415],
  ] as const)('with the headers %j answers %i', async ([headers, status]) => {
    for (const unknownLength of [false, true]) {
      const { bridge } = recordingBridge(service);
      const answered = await ask(bridge, 'POST', '/body', { headers, body: '{}', unknownLength });
      expect(answered.status).toBe(status);
      // Refused before it is read, where the head tells.
      expect(answered.bodyRead).toBe(status === 200 || unknownLength);
    }
  });

  test('asks no type of a body that is empty', async () => {
    const { bridge } = recordingBridge(service);
    const headers = ['content-type', 'application/x-www-form-urlencoded', 'content-encoding', 'gzip'];
    for (const unknownLength of [false, true]) {
      for (const path of ['/body', '/child/x']) {
        const { status } = await ask(bridge, 'POST', path, { headers, body: '', unknownLength });
        expect(status).toBe(200);
      }
    }
  });

  test('refuses more than the limit, unread where the head tells', async () => {
    const { bridge, asked } = recordingBridge(service, { maxBodyBytes: 10 });
    const body = (bytes: number) => `{"a":${' '.repeat(bytes)}`.slice(0, bytes);
    expect((await ask(bridge, 'POST', '/body', { body: '{        }' })).status).toBe(200);
    const known = await ask(bridge, 'POST', '/body', { body: body(11) });
    expect([known.status, known.bodyRead]).toEqual([413, false]);
    const unknown = await ask(bridge, 'POST', '/body', { body: body(11), unknownLength: true });
    expect([unknown.status, unknown.bodyRead]).toEqual([413, true]);
    expect(unknown.message).toBe('The body is larger than 10 bytes, the limit here.');
    expect(asked).toHaveLength(1);
  });

  test('answers any JSON value with 200 or a 400 that says why', async () => {
    const { bridge } = recordingBridge(service);
    const names = [
      'a_string',
      'an_int64',
      'child',
      'labels',
      'struct',
      'value',
      'time',
      'colors',
      'mask',
      'none',
    ];
    const body = fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 4 }));
    await fc.assert(
      fc.asyncProperty(body, async (value) => {
        const answered = await ask(bridge, 'POST', '/body', { body: JSON.stringify(value) });
        if (answered.status === 200) return;
        expect(answered.status).toBe(400);
        expect(answered.message).toMatch(/^field "/);
      }),
      { numRuns: 300 },
    );
  });

  test('brings any free-form JSON through', async () => {
    const { bridge, asked } = recordingBridge(service);
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), async (value) => {
        asked.length = 0;
        const text = JSON.stringify({ value });
        const answered = await ask(bridge, 'POST', '/body', { body: text });
        expect(answered.status).toBe(200);
        expect(JSON.stringify(asked[0]?.request)).toBe(JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 100 },
    );
  });

  test.for([
    ['a nesting bomb', '['.repeat(60_000)],
    ['a nesting bomb in a field', `{"struct":${'{"a":'.repeat(12_000)}`],
    ['unknown fields', `{${Array.from({ length: 6_000 }, (_, i) => `"x${i}":1`).join()}}`],
    ['a fault at the end of a list', `{"numbers":[${'1,'.repeat(30_000)}"x"]}`],
    [
      'a fault at the end of a map',
      `{"labels":{${Array.from({ length: 5_000 }, (_, i) => `"${i}":"",`).join('')}"x":1}}`,
    ],
    ['children with a fault', `{"children":[${'{"name":"a"},'.repeat(4_000)}{"name":1}]}`],
    ['a large number at the front', `{"an_int64":1,"a_double":1e300,"numbers":[${'1,'.repeat(30_000)}1]}`],
    [
      'deep children with a fault',
      `{"children":[${`${'{"child":'.repeat(90)}{}${'}'.repeat(90)},`.repeat(60)}{"name":1}]}`,
    ],
    ['masks', `{"mask":"${'_a'.repeat(30_000)}"}`],
    ['digits', `{"an_int64":"${'9'.repeat(60_000)}"}`],
  ] as const)('is done soon with 60 KB of %s', async ([, body]) => {
    const started = performance.now();
    const { bridge } = recordingBridge(service);
    await ask(bridge, 'POST', '/body', { body });
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

import { createRouterTransport } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { BindingError, bindingName, bindingsOf } from '../../src/bridge/binding.ts';
import { createBridge } from '../../src/bridge/bridge.ts';
import { buildProtos, serviceOf } from './protos.ts';

/** One method each: `rpc M(...) returns (...)` and its annotation. */
const INVALID: readonly (readonly [rule: string, message: string, signature?: string])[] = [
  // templates
  ['get: "a"', 'GET a: a template begins with "/"'],
  ['get: "/a/"', 'GET /a/: a segment is empty'],
  ['get: "/{a_string={a_int}}"', 'GET /{a_string={a_int}}: a variable holds another variable'],
  ['post: "/**/a"', 'POST /**/a: "**" stands before another segment: it may only be the last'],
  // patterns
  ['body: "*"', 'neither get, put, post, delete, patch nor custom is given'],
  ['get: ""', 'GET : a template begins with "/"'],
  ['custom: {kind: "", path: "/a"}', 'custom.kind must be an HTTP method or "*", not ""'],
  ['custom: {kind: "A B", path: "/a"}', 'custom.kind must be an HTTP method or "*", not "A B"'],
  ['custom: {kind: "LIST"}', 'LIST : a template begins with "/"'],
  // path variables
  ['get: "/{none}"', 'GET /{none}: {none}: t.Request has no field "none"'],
  ['get: "/{sub.none}"', 'GET /{sub.none}: {sub.none}: t.Sub has no field "none"'],
  ['get: "/{a_string.x}"', 'GET /{a_string.x}: {a_string.x}: "a_string" is not a message and has no fields'],
  ['get: "/{sub}"', 'GET /{sub}: {sub}: "sub" is a message; a path holds scalars and enums alone'],
  ['get: "/{time}"', 'GET /{time}: {time}: "time" is a message; a path holds scalars and enums alone'],
  ['get: "/{list}"', 'GET /{list}: {list}: "list" is repeated, which a path can\'t hold'],
  ['get: "/{subs.name}"', 'GET /{subs.name}: {subs.name}: "subs" is repeated, which a path can\'t hold'],
  ['get: "/{map}"', 'GET /{map}: {map}: "map" is a map, which a path can\'t hold'],
  ['get: "/{sub.tags}"', 'GET /{sub.tags}: {sub.tags}: "tags" is repeated, which a path can\'t hold'],
  ['get: "/{a_string}/{a_string}"', 'GET /{a_string}/{a_string}: {a_string} stands there twice'],
  ['get: "/{a_string}/{aString}"', 'GET /{a_string}/{aString}: {aString}: t.Request has no field "aString"'],
  // bodies
  ['get: "/a" body: "*"', 'GET /a: GET has no request body'],
  ['custom: {kind: "HEAD", path: "/a"} body: "sub"', 'HEAD /a: HEAD has no request body'],
  ['post: "/a" body: "none"', 'POST /a: body: t.Request has no field "none" at its top level'],
  ['post: "/a" body: "sub.name"', 'POST /a: body: t.Request has no field "sub.name" at its top level'],
  ['post: "/a" body: "**"', 'POST /a: body: t.Request has no field "**" at its top level'],
  ['post: "/{a_string}" body: "a_string"', 'POST /{a_string}: body: "a_string" is in the path already'],
  [
    'get: "/a" response_body: "none"',
    'GET /a: response_body: t.Response has no field "none" at its top level',
  ],
  ['get: "/a" response_body: "*"', 'GET /a: response_body: t.Response has no field "*" at its top level'],
  [
    'get: "/a" response_body: "sub.name"',
    'GET /a: response_body: t.Response has no field "sub.name" at its top level',
  ],
  // additional bindings
  [
    'get: "/a" additional_bindings {get: "/b" additional_bindings {get: "/c"}}',
    'additional_bindings[0]: additional_bindings nest one level deep alone',
  ],
  [
    'get: "/a" additional_bindings {get: "/b"} additional_bindings {get: "/{none}"}',
    'additional_bindings[1]: GET /{none}: {none}: t.Request has no field "none"',
  ],
  [
    'get: "/a" additional_bindings {}',
    'additional_bindings[0]: neither get, put, post, delete, patch nor custom is given',
  ],
  // kinds of RPC
  [
    'post: "/a"',
    "a stream of requests can't be bound to HTTP; remove google.api.http",
    '(stream Request) returns (Response)',
  ],
  [
    'post: "/a"',
    "a stream of requests can't be bound to HTTP; remove google.api.http",
    '(stream Request) returns (stream Response)',
  ],
  [
    'get: "/a"',
    'GET /a: a stream of google.api.HttpBody is not supported',
    '(Request) returns (stream google.api.HttpBody)',
  ],
  [
    'get: "/a" response_body: "file"',
    'GET /a: a stream of google.api.HttpBody is not supported',
    '(Request) returns (stream Response)',
  ],
  [
    'post: "/a"',
    'POST /a: a request that is a google.api.HttpBody needs body: "*"',
    '(google.api.HttpBody) returns (Response)',
  ],
];

/** Two methods each, and the second is what is refused. */
const CLASHING: readonly (readonly [first: string, second: string, message: string])[] = [
  [
    'get: "/a/{a_string}"',
    'get: "/a/{sub.name}"',
    'Second: GET /a/{sub.name}: takes the same requests as t.%/First: GET /a/{a_string}',
  ],
  [
    'get: "/a"',
    'post: "/b" additional_bindings {get: "/a"}',
    'Second: GET /a: takes the same requests as t.%/First: GET /a',
  ],
  [
    'custom: {kind: "GET", path: "/a"}',
    'get: "/%61"',
    'Second: GET /%61: takes the same requests as t.%/First: GET /a',
  ],
];

const MESSAGES = `
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/timestamp.proto";
message Sub { string name = 1; repeated string tags = 2; }
message Request {
  string a_string = 1; int32 a_int = 2; Sub sub = 3; repeated string list = 4; map<string, string> map = 5;
  repeated Sub subs = 6; google.protobuf.Timestamp time = 7;
}
message Response { string name = 1; google.api.HttpBody file = 2; }
`;
const option = (rule: string) => `{ option (google.api.http) = {${rule}}; }`;
const SIGNATURE = '(Request) returns (Response)';

const registry = buildProtos({
  't.proto': [
    MESSAGES,
    ...INVALID.map(
      ([rule, , signature = SIGNATURE], i) => `service Invalid${i} { rpc M${signature} ${option(rule)} }`,
    ),
    ...CLASHING.map(
      ([first, second], i) =>
        `service Clashing${i} { rpc First${SIGNATURE} ${option(first)} rpc Second${SIGNATURE} ${option(second)} }`,
    ),
    `service Valid {
      rpc None${SIGNATURE};
      rpc All${SIGNATURE} ${option(`
        selector: "ignored.in.annotations" post: "/all/{sub.name=x/*}" body: "*" response_body: "name"
        additional_bindings {put: "/sub" body: "sub"}
        additional_bindings {delete: "/delete" body: "list"}
        additional_bindings {patch: "/patch"}
        additional_bindings {custom: {kind: "*" path: "/any"}}
        additional_bindings {custom: {kind: "PURGE" path: "/any"}}
        additional_bindings {get: "/any"}`)}
      rpc Watch(Request) returns (stream Response) ${option('get: "/watch"')}
    }`,
  ].join('\n'),
});
const transport = createRouterTransport(() => {});

describe('bindingsOf', () => {
  test.for(INVALID.map((row, index) => [row[0], row[1], index] as const))(
    'refuses {%s}: %s',
    ([, message, index]) => {
      const service = serviceOf(registry, `t.Invalid${index}`);
      const expected = new BindingError(`t.Invalid${index}/M: ${message}`);
      expect(() => bindingsOf([service])).toThrow(expected);
      expect(() => createBridge({ services: [service], transport })).toThrow(expected);
    },
  );

  test.for(CLASHING.map((row, index) => [...row, index] as const))(
    'refuses {%s} beside {%s}',
    ([, , message, index]) => {
      const service = serviceOf(registry, `t.Clashing${index}`);
      expect(() => createBridge({ services: [service], transport })).toThrow(
        new BindingError(`t.Clashing${index}/${message.replace('t.%', `t.Clashing${index}`)}`),
      );
    },
  );

  test('refuses the same service twice', () => {
    const service = serviceOf(registry, 't.Valid');
    expect(() => createBridge({ services: [service, service], transport })).toThrow(
      /takes the same requests as/,
    );
  });

  test('reads rules in order, their additional bindings behind them, and passes methods without one over', () => {
    const bindings = bindingsOf([serviceOf(registry, 't.Valid')]);
    expect(bindings.map(bindingName)).toEqual([
      't.Valid/All: POST /all/{sub.name=x/*}',
      't.Valid/All: PUT /sub',
      't.Valid/All: DELETE /delete',
      't.Valid/All: PATCH /patch',
      't.Valid/All: * /any',
      't.Valid/All: PURGE /any',
      't.Valid/All: GET /any',
      't.Valid/Watch: GET /watch',
    ]);
    expect(bindings.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 0]);
    expect(bindings.map(({ body }) => (body.kind === 'field' ? body.field.name : body.kind))).toEqual([
      'all',
      'sub',
      'list',
      'none',
      'none',
      'none',
      'none',
      'none',
    ]);
    expect(bindings[0]?.variables[0]?.fields.map(({ name }) => name)).toEqual(['sub', 'name']);
    expect(bindings[0]?.responseBody?.name).toBe('name');
    expect(bindings[1]?.responseBody).toBeNull();
  });
});

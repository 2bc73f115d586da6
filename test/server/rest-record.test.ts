import { createRouterTransport } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import { createBridge } from '../../src/bridge/bridge.ts';
import { type RestEnd, restRecord } from '../../src/server/rest-record.ts';
import { buildProtos, serviceOf } from '../bridge/protos.ts';

const registry = buildProtos({
  'r.proto': `syntax = "proto3"; package r;
    import "google/api/annotations.proto";
    service Keys { rpc Turn(In) returns (In) { option (google.api.http) = {
      post: "/keys/{key}/turn" additional_bindings {get: "/all/{key=a/**}"} additional_bindings {get: "/of/{name}"}
    }; } }
    message In { string key = 1 [debug_redact = true]; string name = 2; }`,
});
const services = [serviceOf(registry, 'r.Keys')];
const bridge = createBridge({
  services,
  transport: createRouterTransport(() => {}),
  trailingSlash: 'optional',
});

function recordOf(httpMethod: string, target: string, end: Partial<RestEnd> = {}) {
  const path = parseRequestPath(target);
  const match = bridge.match(httpMethod, path.raw);
  if (match === null) throw new Error(`no binding for ${target}`);
  const rest = { status: 200, failure: null, clientLeft: false, bytesIn: 1, bytesOut: 2, durationMs: 3 };
  return restRecord({ id: 'i', httpMethod, path, match, ...rest, ...end });
}

describe('restRecord', () => {
  test.for([
    ['POST', '/keys/secret/turn', '/keys/…/turn'],
    ['POST', '/keys/secret/turn/?key=1', '/keys/…/turn/'],
    ['GET', '/all/a/b/c', '/all/…/…/…'],
    ['GET', '/of/someone', '/of/someone'],
    ['GET', '/of/sk-live', '/of/…'],
    ['GET', '/of/%53K%2dlive', '/of/…'],
    ['GET', '/of/task-1', '/of/task-1'],
    ['GET', '/keys/sk-1/turn', '/keys/…/turn'],
  ] as const)('writes %s %s down as %s', ([method, target, path]) => {
    expect(recordOf(method, target).path).toBe(path);
  });

  test('says how it ended', () => {
    const cause = new Error('refused');
    const failed = new SluiceError('upstream_unreachable', 'away', { cause });
    expect(recordOf('GET', '/of/x')).toEqual({
      id: 'i',
      method: 'GET',
      path: '/of/x',
      route: 'rest r.Keys/Turn',
      target: null,
      model: null,
      status: 200,
      outcome: 'complete',
      why: null,
      bytesIn: 1,
      bytesOut: 2,
      firstByteMs: null,
      durationMs: 3,
      cause: null,
    });
    expect(recordOf('GET', '/of/x', { status: 502, failure: failed })).toMatchObject({
      outcome: 'upstream_failed',
      why: 'upstream_unreachable',
      cause,
    });
    expect(recordOf('GET', '/of/x', { status: 0, clientLeft: true, failure: failed })).toMatchObject({
      status: 499,
      outcome: 'client_left',
      why: null,
      cause: null,
    });
    expect(recordOf('PUT', '/of/x')).toMatchObject({ route: null });
  });
});

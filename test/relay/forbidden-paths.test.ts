import { describe, expect, test } from 'vitest';
import { canonicalPath, parseRequestPath, refuseDotSegments } from '../../src/base/request-path.ts';
import { isAdminEndpoint } from '../../src/upstream/admin-endpoints.ts';

describe('parseRequestPath', () => {
  test.each([
    ['/', '/', ''],
    ['/a?b', '/a', 'b'],
    ['/a?b?c=/d', '/a', 'b?c=/d'],
    ['/a%3Fb?c', '/a%3Fb', 'c'],
    ['//h/a', '//h/a', ''],
  ])('%s', (target, raw, query) => {
    expect(parseRequestPath(target)).toEqual({ raw, query });
  });

  test('tells an empty query from none', () => {
    expect(parseRequestPath('/a?')).toEqual({ raw: '/a', query: '', emptyQuery: true });
  });
});

describe('refuseDotSegments', () => {
  test.each([
    ...['/vllm/..', '/vllm/../sleep', '/vllm/a/../../b', '/vllm/.', '/vllm/./a', '/vllm/a/..', '/../vllm'],
    ...[
      '/vllm/%2e%2e/sleep',
      '/vllm/%2E%2e',
      '/vllm/.%2e/a',
      '/vllm/%2E/a',
      '/vllm/..%2fsleep',
      '/vllm/..%2F',
    ],
    ...['/vllm/a%2f..%2fb', '/vllm/..\\a', '/vllm/..%5Ca', '/vllm/a%5c..', '/vllm/%2e%2e%2f%2e%2e%2fa'],
    ...['/vllm/%252e%252e/a', '/vllm/..%252fa', '/vllm/..;/a', '/vllm/..;x=1/a', '/vllm/%2e%2e%3b/a'],
  ])('refuses %s (#26467)', (path) => {
    expect(() => refuseDotSegments(path)).toThrow(
      expect.objectContaining({ reason: 'forbidden_path', status: 400 }),
    );
  });

  test.each([
    '/vllm/a',
    '/',
    '/vllm/...',
    '/vllm/.a',
    '/vllm/a.',
    '/vllm/a..b',
    '/vllm/v1.5/x',
    '/vllm/a%2Fb',
    '/%',
  ])('lets %s pass', (path) => {
    expect(() => refuseDotSegments(path)).not.toThrow();
  });
});

describe('canonicalPath', () => {
  test.each([
    ['sleep', 'sleep'],
    ['/Sleep/', '/sleep'],
    ['//a///b', '/a/b'],
    ['%73leep', 'sleep'],
    ['%2573leep', 'sleep'],
    ['a%2Fb', 'a/b'],
    ['a\\b', 'a/b'],
    ['sleep;x=1', 'sleep'],
    ['sleep%3Flevel=1', 'sleep'],
    ['sleep%23', 'sleep'],
    ['a;x/b;', 'a/b'],
    ['%zz%', '%zz%'],
    ['/', '/'],
  ])('%s is %s', (path, expected) => {
    expect(canonicalPath(path)).toBe(expected);
  });
});

describe('isAdminEndpoint', () => {
  test.each([
    ...['sleep', 'wake_up', 'is_sleeping', 'pause', 'resume', 'is_paused', 'collective_rpc', 'server_info'],
    ...['reset_prefix_cache', 'reset_mm_cache', 'reset_encoder_cache', 'start_profile', 'stop_profile'],
    ...['v1/load_lora_adapter', 'v1/unload_lora_adapter', 'scale_elastic_ep', 'is_scaling_elastic_ep'],
    ...['abort_requests', 'init_weight_transfer_engine', 'update_weights', 'get_world_size'],
  ])('%s is one', (endpoint) => {
    expect(isAdminEndpoint(endpoint)).toBe(true);
  });

  test.each([
    ...[
      'SLEEP',
      'Sleep/',
      '/sleep',
      '//sleep//',
      '%73leep',
      '%2573leep',
      'slee%70',
      's%6Ceep/',
      'sleep;',
      'sleep;a=b',
    ],
    ...[
      'sleep%3Flevel=2',
      'sleep%23x',
      'v1/sleep',
      'a%2Fsleep',
      'a%5Csleep',
      'a\\sleep',
      'base/v1/load_lora_adapter/',
    ],
    ...['a;b/sleep', 'sleep%0A', 'sleep%00', 'sleep%20', 'sleep%09', '%0asleep'],
  ])('%s is one in another spelling', (endpoint) => {
    expect(isAdminEndpoint(endpoint)).toBe(true);
  });

  test.each([
    ...[
      'v1/chat/completions',
      'classify',
      'score',
      'metrics',
      'health',
      'tokenize',
      'v1/models',
      'version',
      'ping',
      '',
    ],
    ...['v1/models/sleepy', 'sleep_well', 'sleep/soundly', 'unsleep', 'v1/responses/resume_1'],
  ])('%s is none', (endpoint) => {
    expect(isAdminEndpoint(endpoint)).toBe(false);
  });
});

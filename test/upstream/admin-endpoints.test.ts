import { describe, expect, test } from 'vitest';
import { isAdminEndpoint } from '../../src/upstream/admin-endpoints.ts';

describe('endpoints that administer a vLLM server', () => {
  test.each([
    'sleep',
    'wake_up',
    'is_sleeping',
    'pause',
    'resume',
    'is_paused',
    'collective_rpc',
    'server_info',
    'v1/load_lora_adapter',
    'v1/unload_lora_adapter',
    'start_profile',
    'stop_profile',
    'scale_elastic_ep',
    'is_scaling_elastic_ep',
    'abort_requests',
    'reset_prefix_cache',
    'reset_mm_cache',
    'reset_encoder_cache',
    'reset_cache',
    'init_weight_transfer_engine',
    'start_weight_update',
    'update_weights',
    'finish_weight_update',
    'get_world_size',
    'update_weights_from_tensor',
    'load_weight',
  ])('%s', (endpoint) => {
    expect(isAdminEndpoint(endpoint)).toBe(true);
    expect(isAdminEndpoint(`/${endpoint}`)).toBe(true);
  });

  test.each([
    '%73leep',
    '%2573leep',
    '%252573leep',
    'SLEEP',
    'Sleep/',
    '//sleep//',
    '/sleep///',
    'some/base/sleep',
    'sleep?level=1',
    'sleep%3Flevel=1',
    'sleep%23',
    'sleep;x=y',
    'v1;a=b/sleep',
    'sleep%0A',
    'sleep%00',
    'sl%0deep',
    'x\\sleep',
    'x%5Csleep',
    'x%2Fsleep',
    'reset%5Fprefix%5fcache',
  ])('however they are spelt: %s', (endpoint) => {
    expect(isAdminEndpoint(endpoint)).toBe(true);
  });

  test.each([
    '',
    '/',
    'v1/chat/completions',
    'v1/models',
    'classify',
    'score',
    'metrics',
    'health',
    'ping',
    'load',
    'version',
    'tokenize',
    'tokenizer_info',
    'v1/audio/transcriptions',
    'v1/realtime',
    'sleep/x',
    'sleeper',
    'asleep',
    'weightless',
    'reset_cachet',
    '%',
    '%zz',
  ])('%s is none', (endpoint) => {
    expect(isAdminEndpoint(endpoint)).toBe(false);
  });

  test('a verdict stays the same when it is asked again, and after thousands of others', () => {
    expect(isAdminEndpoint('sleep')).toBe(true);
    for (let i = 0; i < 3_000; i++) expect(isAdminEndpoint(`v1/files/${i}`)).toBe(false);
    expect(isAdminEndpoint('sleep')).toBe(true);
    expect(isAdminEndpoint('v1/files/1')).toBe(false);
  });
});

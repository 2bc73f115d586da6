import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../../src/base/errors.ts';
import type { Json } from '../../../src/base/json.ts';
import { GATEWAY_ARGUMENTS, OPERATOR_ARGUMENTS } from '../../../src/models/vllm-managed/argument-rules.ts';
import { modelArgument, serveArguments } from '../../../src/models/vllm-managed/serve-arguments.ts';

type Engine = Readonly<Record<string, Json>>;

const words = (engine: Engine, allowed: readonly string[] = []) =>
  serveArguments(engine, new Set(allowed)).words;

function refusal(engine: Engine, allowed: readonly string[] = []): SluiceError {
  try {
    words(engine, allowed);
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error(`not refused: ${JSON.stringify(engine)}`);
}

describe('engine arguments', () => {
  test.each<[Engine, readonly string[]]>([
    [
      { tensor_parallel_size: 2, enable_prefix_caching: true },
      ['--tensor-parallel-size', '2', '--enable-prefix-caching'],
    ],
    [{ enable_prefix_caching: false, dtype: null }, ['--no-enable-prefix-caching']],
    [
      { gpu_memory_utilization: 0.5, 'max-model-len': '4k' },
      ['--gpu-memory-utilization', '0.5', '--max-model-len', '4k'],
    ],
    [{ max_model_len: -1 }, ['--max-model-len=-1']],
    [{ tokenizer: '--config' }, ['--tokenizer=--config']],
    [{ quantization: '' }, ['--quantization', '']],
    [
      { cudagraph_capture_sizes: [1, 2, 4], ignore_patterns: [] },
      ['--cudagraph-capture-sizes', '1', '2', '4'],
    ],
    [
      { lora_modules: [{ name: 'a', path: '/b' }, 'c=/d'] },
      ['--lora-modules', '{"name":"a","path":"/b"}', 'c=/d'],
    ],
    [{ hf_overrides: { rope: { factor: 2 } } }, ['--hf-overrides', '{"rope":{"factor":2}}']],
    [{ allowed_origins: ['https://a', '*'] }, ['--allowed-origins', '["https://a","*"]']],
    [{ compilation_config: '{"level": 3}' }, ['--compilation-config', '{"level": 3}']],
    [{ reasoning_parser: 'deepseek_r1' }, ['--reasoning-parser', 'deepseek_r1']],
    [
      { chat_template: '{% for m in messages %}{{ m }}{% endfor %}' },
      ['--chat-template', '{% for m in messages %}{{ m }}{% endfor %}'],
    ],
    [{ distributed_executor_backend: 'ray' }, ['--distributed-executor-backend', 'ray']],
    [{ trust_remote_code: false }, ['--no-trust-remote-code']],
    [
      { kv_transfer_config: { kv_connector: 'NixlConnector' } },
      ['--kv-transfer-config', '{"kv_connector":"NixlConnector"}'],
    ],
    [{ host: null, worker_cls: null }, []],
    [{ spec_method: 'eagle3', spec_model: 'a/b' }, ['--spec-method', 'eagle3', '--spec-model', 'a/b']],
    [
      { hf_overrides: { quantization_config: { modules_to_not_convert: ['lm_head'] }, num_classes: 2 } },
      ['--hf-overrides', '{"quantization_config":{"modules_to_not_convert":["lm_head"]},"num_classes":2}'],
    ],
    [
      {
        kv_transfer_config: {
          kv_ip: '127.0.0.1',
          kv_connector_extra_config: { 'lmcache.remote_url': 'redis://h' },
        },
      },
      [
        '--kv-transfer-config',
        '{"kv_ip":"127.0.0.1","kv_connector_extra_config":{"lmcache.remote_url":"redis://h"}}',
      ],
    ],
  ])('%j', (engine, expected) => {
    expect(words(engine)).toEqual(expected);
  });

  test('keep a token off the command line', () => {
    expect(serveArguments({ hf_token: 'hf_secret' }, new Set())).toEqual({ words: [], hfToken: 'hf_secret' });
  });

  test.each<[Engine, string]>([
    [{ 'max model len': 1 }, 'max model len: is no name of an argument'],
    [{ '--host': 'x' }, '--host: is no name of an argument'],
    [{ 'hf_overrides.a': 1 }, 'hf_overrides.a: is no name'],
    [{ O: 3 }, 'O: is no name'],
    [{ ['x'.repeat(65)]: 1 }, 'is no name'],
    [{ max_model_len: 1, 'max-model-len': 2 }, 'max-model-len: is given twice'],
    [{ host: '0.0.0.0' }, "host: can't be set"],
    [{ 'served-model-name': 'x' }, "served-model-name: can't be set"],
    [{ ssl_keyfile: 'x' }, "ssl_keyfile: can't be set"],
    [{ config: '/etc/passwd' }, "config: can't be set"],
    // Beginnings of names, which Python's argparse takes for the names.
    [{ middlew: 'a.b' }, 'middlew: is short for middleware'],
    [{ uds_path: 1, ud: '/x' }, 'ud: is short for uds'],
    [{ worker_ext: 'a.b' }, 'worker_ext: is short for worker_extension_cls'],
    [{ 'tool-parser-p': '/x.py' }, 'tool-parser-p: is short for tool_parser_plugin'],
    [{ reasoning_parser_: 'x' }, 'reasoning_parser_: is no name'],
    [{ reasoning_parser_p: 'x' }, 'reasoning_parser_p: is short for reasoning_parser_plugin'],
    [{ distributed_exec: 'a.B' }, 'distributed_exec: is short for distributed_executor_backend'],
    [{ worker_cls: 'a.B' }, 'worker_cls: is refused, since it loads code by its name'],
    [
      { trust_remote_code: true },
      'trust_remote_code: is refused, since it runs code that comes with the model',
    ],
    [{ trust_remote_code: 'true' }, 'trust_remote_code: is refused'],
    [{ distributed_executor_backend: 'my.Executor' }, 'distributed_executor_backend: is refused'],
    [{ chat_template: '/etc/passwd' }, 'chat_template: is refused, since it reads a file'],
    [{ hf_token: true }, 'hf_token: must be the token'],
    [
      { cudagraph_capture_sizes: [1, '--config'] },
      'cudagraph_capture_sizes: has an item that begins with a dash',
    ],
    [{ ignore_patterns: ['a', null] }, 'ignore_patterns: has an item that is neither'],
    [{ ignore_patterns: ['a\0b'] }, 'ignore_patterns: has a NUL character'],
    [{ tokenizer: 'a\0b' }, 'tokenizer: has a NUL character'],
    [
      { kv_transfer_config: { kv_connector: 'x', kv_connector_module_path: 'evil' } },
      'kv_transfer_config: "kv_connector_module_path" in it is refused',
    ],
    [
      { kv_transfer_config: '{"kv_connector_module_path":"evil"}' },
      'kv_transfer_config: "kv_connector_module_path" in it is refused',
    ],
    [
      { kv_transfer_config: ' {"kv_connector_module_path":"evil", "a": NaN}' },
      'kv_transfer_config: begins like JSON and is none',
    ],
    [{ compilation_config: { backend: 'evil.module.f' } }, 'compilation_config: "backend" in it is refused'],
    [
      { compilation_config: { inductor_compile_config: { 'cpp.cxx': ['/bin/evil'] } } },
      'compilation_config: "inductor_compile_config" in it is refused',
    ],
    [
      { structured_outputs_config: { reasoning_parser_plugin: '/x.py' } },
      'structured_outputs_config: "reasoning_parser_plugin" in it is refused',
    ],
    [{ additional_config: [{ a: { worker_cls: 'x' } }] }, 'additional_config: "worker_cls" in it is refused'],
    [{ spec_method: 'custom_class', spec_model: 'evil.Proposer' }, 'spec_method: is refused, since it loads'],
    [{ hf_overrides: { vision_config: { auto_map: { AutoConfig: 'evil/x--m.C' } } } }, '"auto_map" in it'],
    [{ kv_transfer_config: { kv_ip: '203.0.113.9' } }, '"kv_ip" in it is refused, since it joins'],
    // LMCache takes its configuration from here: with dots in its names, as a text within, as a URL.
    [
      {
        kv_transfer_config: {
          kv_connector_extra_config: {
            'lmcache.extra_config': {
              'storage_plugin.x.module_path': 'os',
              'storage_plugin.x.class_name': 'system',
            },
          },
        },
      },
      'kv_transfer_config: "storage_plugin.x.module_path" in it is refused',
    ],
    [
      {
        kv_transfer_config: {
          kv_connector_extra_config: { 'lmcache.extra_config': '{"storage_plugin.x.module_path":"os"}' },
        },
      },
      'kv_transfer_config: "storage_plugin.x.module_path" in it is refused',
    ],
    [
      { kv_transfer_config: { kv_connector_extra_config: { 'lmcache.runtime_plugin_locations': ['/x'] } } },
      'kv_transfer_config: "lmcache.runtime_plugin_locations" in it is refused',
    ],
    [
      {
        kv_transfer_config: {
          kv_connector_extra_config: { 'lmcache.remote_url': 'external://h:0/evil.mod/?a' },
        },
      },
      'kv_transfer_config: "lmcache.remote_url" in it is refused',
    ],
    [
      { mm_processor_kwargs: { trust_remote_code: true } },
      'mm_processor_kwargs: "trust_remote_code" in it is refused',
    ],
  ])('%j is refused', (engine, message) => {
    const error = refusal(engine);
    expect(error.reason).toBe('invalid_request');
    expect(error.message).toContain(message);
  });

  test('are refused all at once, the first one named as the parameter', () => {
    const error = refusal({ dtype: 'auto', port: 1, worker_cls: 'a.B' });
    expect(error.param).toBe('model_kwargs.port');
    expect(error.message.split('\n')).toEqual([
      "model_kwargs.port: can't be set: the gateway picks a free one",
      'model_kwargs.worker_cls: is refused, since it loads code by its name; the operator may allow it with general_settings.vllm_allowed_arguments: [worker_cls]',
    ]);
  });

  test.each([
    'data_parallel_address',
    'kv_events_config',
    'logits_processor_pattern',
    'master_addr',
    'mm_encoder_fp8_scale_save_path',
    'model_class_overrides',
    // None of today's, but nobody needs to be told what these do.
    'sampler_cls',
    'router-plugin',
    'cache_module_path',
  ])('%s reaches beyond serving a model', (name) => {
    expect(refusal({ [name]: 'x' }).message).toContain(`${name}: is refused, since it`);
  });

  test.each(Object.keys(GATEWAY_ARGUMENTS))('%s is nobody’s to allow', (name) => {
    expect(refusal({ [name]: 'x' }, [name]).message).toContain("can't be set");
  });

  test.each(Object.keys(OPERATOR_ARGUMENTS))('%s is the operator’s to allow', (name) => {
    expect(refusal({ [name]: 'x' }).message).toContain(`vllm_allowed_arguments: [${name}]`);
    expect(words({ [name]: 'x' }, [name])).toEqual([`--${name.replaceAll('_', '-')}`, 'x']);
  });

  test('that the operator allows are taken with whatever is in them', () => {
    const config = { kv_connector_module_path: 'mine' };
    expect(words({ kv_transfer_config: config }, ['kv_transfer_config'])).toEqual([
      '--kv-transfer-config',
      JSON.stringify(config),
    ]);
    expect(words({ chat_template: '/opt/t.jinja' }, ['chat_template'])).toEqual([
      '--chat-template',
      '/opt/t.jinja',
    ]);
  });
});

describe('the model', () => {
  test.each(['org/model', '/models/a b', 's3://bucket/model', 'org/model:Q4_K_M'])('%s', (name) => {
    expect(modelArgument(name)).toBe(name);
  });

  test.each(['', ' ', '--config', '-h', 'a\nb', 'a\0b'])('%j is refused', (name) => {
    expect(() => modelArgument(name)).toThrow(/^model_name: /);
  });
});

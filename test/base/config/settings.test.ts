import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configFromEnvironment } from '../../../src/base/config/parse.ts';
import { PROVIDERS } from '../../../src/upstream/providers.ts';
import { selfSignedCertificate } from '../../helpers/certificate.ts';
import { faultsOf, faultsOfEnvironment, parsed } from './parsed.ts';

const general = (...lines: string[]) => ['general_settings:', ...lines.map((line) => `  ${line}`)].join('\n');
const fromEnvironment = (env = {}) => configFromEnvironment(env, PROVIDERS);

describe('general_settings', () => {
  test('have the documented defaults', () => {
    const { limits, allowedHosts, tls, masterKey, verifyUpstreamTls, detailedDebug } = fromEnvironment();
    expect(limits).toEqual({
      maxBodyBytes: 67_108_864,
      maxHeaderBytes: 32_768,
      maxHeaders: 256,
      headerTimeoutMs: 15_000,
      bodyTimeoutMs: 60_000,
      maxConnections: 10_000,
      drainTimeoutMs: 60_000,
    });
    expect({ allowedHosts, tls, masterKey, verifyUpstreamTls, detailedDebug }).toEqual({
      allowedHosts: [],
      tls: null,
      masterKey: null,
      verifyUpstreamTls: true,
      detailedDebug: false,
    });
  });

  test('set the limits; numbers may be texts, with underscores, or come from variables', () => {
    const text = general(
      'max_body_bytes: 1024',
      'max_header_bytes: "2048"',
      'max_headers: os.environ/HEADERS',
      'header_timeout: 0.5',
      'body_timeout: "1e1"',
      'max_connections: 1_000',
      'drain_timeout: 0',
    );
    expect(parsed(text, { HEADERS: '12' }).limits).toEqual({
      maxBodyBytes: 1024,
      maxHeaderBytes: 2048,
      maxHeaders: 12,
      headerTimeoutMs: 500,
      bodyTimeoutMs: 10_000,
      maxConnections: 1_000,
      drainTimeoutMs: 0,
    });
  });

  test.each([
    ['max_body_bytes: 0', 'max_body_bytes: must be a whole number above 0, not 0'],
    ['max_body_bytes: 64 MiB', 'max_body_bytes: must be a whole number above 0, not "64 MiB"'],
    ['max_headers: 1.5', 'max_headers: must be a whole number above 0, not 1.5'],
    ['max_connections: -1', 'max_connections: must be a whole number above 0, not -1'],
    ['drain_timeout: -1', 'drain_timeout: must be a number of seconds from 0 to 2,147,483, not -1'],
    [
      'header_timeout: {}',
      'header_timeout: must be a number of seconds above 0 and below 2,147,483, not a mapping',
    ],
    ['max_heders: 5', 'max_heders: unknown key; did you mean max_headers?'],
    ['masterkey: x', 'masterkey: unknown key; did you mean master_key?'],
    [
      'allowed_hosts: ["https://h"]',
      'allowed_hosts[0]: must be the name of a host alone, like gateway.example.com, without scheme, port or path',
    ],
    [
      'allowed_hosts: ["*"]',
      'allowed_hosts[0]: must be the name of a host alone, like gateway.example.com, without scheme, port or path',
    ],
    ['allowed_hosts: h', 'allowed_hosts: must be a list of texts, not "h"'],
  ])('%s is a fault', (line, fault) => {
    expect(faultsOf(general(line))).toEqual([`config.yaml:2: general_settings.${fault}`]);
  });

  test('vllm_allowed_arguments are names as model_kwargs has them', () => {
    expect(parsed('general_settings:').vllmAllowedArguments).toEqual([]);
    expect(parsed(general('vllm_allowed_arguments: [trust_remote_code]')).vllmAllowedArguments).toEqual([
      'trust_remote_code',
    ]);
    expect(faultsOf(general('vllm_allowed_arguments: [chat_template, --middleware]'))).toEqual([
      'config.yaml:2: general_settings.vllm_allowed_arguments[1]: must be the name of an argument as in model_kwargs, like trust_remote_code',
    ]);
  });

  test('allowed_hosts are lower case', () => {
    expect(parsed(general('allowed_hosts: [Gateway.Example.COM, "[::1]"]')).allowedHosts).toEqual([
      'gateway.example.com',
      '[::1]',
    ]);
  });

  test.each([
    ['store_prompts: true', 'store_prompts', ''],
    ['alerting: [slack]', 'alerting', ''],
    ['maximum_spend_logs_retention_period: 7d', 'maximum_spend_logs_retention_period', ''],
    ['max_request_size_mb: 5', 'max_request_size_mb', ': the limit here is max_body_bytes'],
    ['allowed_ips: [1.2.3.4]', 'allowed_ips', ': nobody is kept out by it'],
  ])('%s is known and warned of', (line, key, hint) => {
    expect(parsed(general(line)).warnings).toEqual([
      `config.yaml:2: general_settings.${key}: known, but not acted on by this version${hint}`,
    ]);
  });

  test('that are null or no mapping', () => {
    expect(parsed('general_settings:').masterKey).toBeNull();
    expect(faultsOf('general_settings: [a]')).toEqual([
      'config.yaml:1: general_settings: must be a mapping of keys to values, not a list',
    ]);
  });
});

describe('the master key', () => {
  test('is the file’s, else the first that is set of four variables; an empty one is none', () => {
    const env = {
      SLUICE_MASTER_KEY: '',
      LITELLM_MASTER_KEY: 'l',
      REMODL_MASTER_KEY: 'r',
      DHEERA_AI_MASTER_KEY: 'd',
    };
    expect(parsed(general('master_key: sk-file'), env).masterKey).toBe('sk-file');
    expect(fromEnvironment(env).masterKey).toBe('l');
    expect(fromEnvironment({ ...env, SLUICE_MASTER_KEY: 's' }).masterKey).toBe('s');
    expect(fromEnvironment({ REMODL_MASTER_KEY: 'r', DHEERA_AI_MASTER_KEY: 'd' }).masterKey).toBe('r');
    expect(fromEnvironment({ DHEERA_AI_MASTER_KEY: 'd' }).masterKey).toBe('d');
    expect(fromEnvironment({ DHEERA_AI_MASTER_KEY: '' }).masterKey).toBeNull();
  });

  test('may be a variable, even one whose value looks like a number', () => {
    expect(parsed(general('master_key: os.environ/X'), { X: '1234' }).masterKey).toBe('1234');
  });

  test.each([
    ['master_key: os.environ/X', 'the environment variable X is not set'],
    ['master_key: 1234', 'must be a text (a number wants quotes)'],
    ['master_key: ""', 'must not be empty; remove it to run without a master key'],
    ['master_key: "sk 1234"', 'has a space in it, which no client can send in a key'],
    [
      'master_key: "sk-1234\\n"',
      'has a line break, which no header can carry (a variable read from a file may end in one)',
    ],
  ])('%s is a fault', (line, problem) => {
    expect(faultsOf(general(line))).toEqual([`config.yaml:2: general_settings.master_key: ${problem}`]);
  });

  test('of the environment that no client can send is a fault', () => {
    expect(faultsOfEnvironment({ LITELLM_MASTER_KEY: 'a b' })).toEqual([
      'environment: LITELLM_MASTER_KEY: has a space in it, which no client can send in a key',
    ]);
  });
});

describe('timeouts', () => {
  const text = (settings: string) => `${settings}
model_list: [{model_name: m, params: {model: hosted_vllm/m, api_base: "http://h"}}]`;
  const ms = (settings: string) => parsed(text(settings)).deployments[0]?.timeouts;

  test('of a deployment: router_settings before litellm_settings before general_settings', () => {
    const all = 'general_settings: {timeout: 1, stream_timeout: 2, connect_timeout: 3}';
    expect(ms(all)).toEqual({ connectTimeoutMs: 3_000, firstByteTimeoutMs: 1_000, idleTimeoutMs: 2_000 });
    expect(ms(`${all}\nlitellm_settings: {request_timeout: 4}`)?.firstByteTimeoutMs).toBe(4_000);
    expect(
      ms(`${all}\nlitellm_settings: {request_timeout: 4}\nrouter_settings: {timeout: 5, stream_timeout: 6}`),
    ).toEqual({ connectTimeoutMs: 3_000, firstByteTimeoutMs: 5_000, idleTimeoutMs: 6_000 });
  });

  test('of a route and of a provider: pass_through_request_timeout before timeout, and nothing of the models’', () => {
    const settings = (extra: string) => `
router_settings: {timeout: 9}
general_settings:
  timeout: 1
  pass_through_endpoints: [{path: /a, target: "https://h"}]
  ${extra}`;
    expect(parsed(settings('')).routes[0]?.timeouts.firstByteTimeoutMs).toBe(1_000);
    const config = parsed(settings('pass_through_request_timeout: 2'));
    expect(config.routes[0]?.timeouts.firstByteTimeoutMs).toBe(2_000);
    expect(config.providerTargets.get('openai')?.timeouts.firstByteTimeoutMs).toBe(2_000);
  });
});

describe('litellm_settings and router_settings', () => {
  test.each(['litellm_settings', 'remodl_settings', 'dheera_ai_settings'])('%s are read', (name) => {
    const config = parsed(`${name}: {ssl_verify: False, set_verbose: True, json_logs: true}`);
    expect(config).toMatchObject({ verifyUpstreamTls: false, detailedDebug: true, warnings: [] });
  });

  test('two names of one section are a fault', () => {
    expect(faultsOf('litellm_settings: {}\nremodl_settings: {}')).toEqual([
      'config.yaml:2: remodl_settings: says the same as litellm_settings; keep one of them',
    ]);
  });

  test('a file of authorities in ssl_verify leaves the check on, and warns', () => {
    const config = parsed('litellm_settings: {ssl_verify: /etc/ca.pem}');
    expect(config.verifyUpstreamTls).toBe(true);
    expect(config.warnings).toEqual([
      'config.yaml:1: litellm_settings.ssl_verify: a file of authorities is not read; name it in NODE_EXTRA_CA_CERTS',
    ]);
  });

  test('what isn’t acted on is warned of', () => {
    const config = parsed(
      'litellm_settings:\n  drop_params: true\n  cache: true\n  cache_params: {password: os.environ/UNSET}\nrouter_settings:\n  routing_strategy: latency-based-routing\n  num_retries: 3\n',
    );
    expect(config.warnings).toEqual([
      'config.yaml:2: litellm_settings.drop_params: known, but not acted on by this version: request bodies are relayed as they come',
      'config.yaml:3: litellm_settings.cache: known, but not acted on by this version',
      'config.yaml:4: litellm_settings.cache_params: known, but not acted on by this version',
      'config.yaml:6: router_settings.routing_strategy: known, but not acted on by this version: the deployment with the fewest requests under way is taken',
      'config.yaml:7: router_settings.num_retries: known, but not acted on by this version',
    ]);
  });

  test('unknown keys are faults', () => {
    expect(faultsOf('litellm_settings: {drop_parms: true}\nrouter_settings: {timeuot: 5}')).toEqual([
      'config.yaml:1: litellm_settings.drop_parms: unknown key; did you mean drop_params?',
      'config.yaml:2: router_settings.timeuot: unknown key; did you mean timeout?',
    ]);
  });
});

describe('other sections', () => {
  test.each([
    'guardrails',
    'callback_settings',
    'credential_list',
    'files_settings',
    'finetune_settings',
    'mcp_servers',
    'search_tools',
    'vector_store_registry',
    'include',
  ])('%s is known and warned of', (name) => {
    expect(parsed(`${name}: []`).warnings[0]).toMatch(
      new RegExp(`^config.yaml:1: ${name}: known, but not acted on by this version`),
    );
  });

  test('an unknown section is a fault, with the nearest name', () => {
    expect(faultsOf('modle_list: []\nwhatever: 1')).toEqual([
      'config.yaml:1: modle_list: unknown key; did you mean model_list?',
      'config.yaml:2: whatever: unknown key; known here are environment_variables, model_list, general_settings, router_settings, litellm_settings, remodl_settings, dheera_ai_settings',
    ]);
  });

  test.each([
    ['master_key: k', 'master_key', 'general_settings'],
    [
      'model_list: [{model_name: m, model: gpt-4o, params: {model: gpt-4o, api_key: k}}]',
      'model_list[0].model',
      'litellm_params',
    ],
    ['general_settings: {num_retries: 3}', 'general_settings.num_retries', 'router_settings'],
    ['general_settings: {model_list: []}', 'general_settings.model_list', 'the top level'],
    ['litellm_settings: {master_key: k}', 'litellm_settings.master_key', 'general_settings'],
  ])('%s: a key in the wrong section is a fault that names the right one', (text, path, home) => {
    expect(faultsOf(text)).toEqual([`config.yaml:1: ${path}: unknown key here; it belongs to ${home}`]);
  });

  test('the forks’ own names of LiteLLM’s settings are known', () => {
    const config = parsed(
      general('dheera_ai_license: x', 'remodl_jwtauth: {}', 'litellm_key_header_name: x'),
    );
    expect(config.warnings.map((line) => line.split(': ')[1])).toEqual([
      'general_settings.dheera_ai_license',
      'general_settings.remodl_jwtauth',
      'general_settings.litellm_key_header_name',
    ]);
  });

  test('a shell’s variable is warned of, since nobody replaces it', () => {
    const shell = ['$', '{KEY}'].join('');
    expect(parsed(general(`master_key: "${shell}"`)).warnings).toEqual([
      `config.yaml:2: general_settings.master_key: ${shell} is not replaced; a variable is written os.environ/KEY`,
    ]);
  });

  test('a section beginning with x- is a free place for anchors', () => {
    const text = `x-replica: &replica {api_base: "http://h", api_key: k}
model_list: [{model_name: m, params: {model: hosted_vllm/m, <<: *replica}}]`;
    expect(parsed(text)).toMatchObject({ deployments: [{ apiBase: 'http://h', apiKey: 'k' }], warnings: [] });
  });
});

describe('environment_variables', () => {
  test('set variables for the file and for defaults, and the environment itself wins', () => {
    const text = `environment_variables:
  KEY: from-file
  BOTH: from-file
  EMPTY: from-file
  NUMBER: 5
  NOTHING:
  COPY: "<os.environ/BOTH>"
  HOSTED_VLLM_API_BASE: http://from-file
  SLUICE_MASTER_KEY: sk-from-file
model_list:
  - {model_name: m, params: {model: hosted_vllm/m, api_key: "os.environ/KEY os.environ/BOTH os.environ/EMPTY os.environ/NUMBER os.environ/COPY"}}
`;
    const config = parsed(text, { BOTH: 'env', EMPTY: '' });
    expect(config.deployments[0]).toMatchObject({
      apiBase: 'http://from-file',
      apiKey: 'from-file env from-file 5 <env>',
    });
    expect(config.masterKey).toBe('sk-from-file');
  });

  test('that hold no text are a fault that doesn’t show them', () => {
    expect(faultsOf('environment_variables:\n  A: [secret]\n  B: os.environ/NOPE')).toEqual([
      'config.yaml:2: environment_variables.A: must be a text',
      'config.yaml:3: environment_variables.B: the environment variable NOPE is not set',
    ]);
  });

  test('leave the process’s environment alone', () => {
    parsed('environment_variables: {SLUICE_TEST_VARIABLE: x}');
    expect(Object.keys(process.env)).not.toContain('SLUICE_TEST_VARIABLE');
  });
});

describe('the environment alone', () => {
  test('configures the providers that have an address', () => {
    const { providerTargets, file } = fromEnvironment({
      HOSTED_VLLM_API_BASE: 'http://vllm:8090/',
      HOSTED_VLLM_API_KEY: 'v',
      COHERE_API_KEY: 'c',
    });
    expect(file).toBeNull();
    expect(providerTargets.get('vllm')).toMatchObject({
      apiBase: 'http://vllm:8090',
      apiKey: 'v',
      configured: true,
    });
    expect(providerTargets.get('cohere')).toMatchObject({
      apiBase: 'https://api.cohere.com',
      apiKey: 'c',
      configured: true,
    });
    expect(providerTargets.get('openai')).toMatchObject({ apiKey: null, configured: false });
    expect(fromEnvironment().providerTargets.has('vllm')).toBe(false);
  });

  test.each([
    [
      'HOSTED_VLLM_API_BASE',
      'localhost:8090',
      'not a URL: "localhost:8090"; did you mean http://localhost:8090?',
    ],
    ['OPENAI_BASE_URL', 'http://u:p@h', 'has credentials in it; put them into OPENAI_API_KEY'],
    [
      'COHERE_API_KEY',
      'a\n',
      'has a line break, which no header can carry (a variable read from a file may end in one)',
    ],
  ])('%s=%j is a fault', (name, value, problem) => {
    expect(faultsOfEnvironment({ [name]: value })).toEqual([`environment: ${name}: ${problem}`]);
  });
});

describe('where state is kept', () => {
  const REMEDY =
    'leave it out (state is then kept in .sluice/sluice.db), or write sqlite:/absolute/path, sqlite:relative/path or redis://host:6379';

  test.each([
    [{}, '.sluice/sluice.db'],
    [{ SLUICE_DATA_DIR: '' }, '.sluice/sluice.db'],
    [{ SLUICE_DATA_DIR: '/var/lib/sluice' }, '/var/lib/sluice/sluice.db'],
    [{ SLUICE_DATA_DIR: 'data/' }, 'data/sluice.db'],
    [{ DATABASE_URL: 'sqlite:./state.db', SLUICE_DATA_DIR: '/var' }, './state.db'],
    [{ DATABASE_URL: 'SQLite:/a b/state.db' }, '/a b/state.db'],
    [{ DATABASE_URL: 'sqlite::memory:' }, ':memory:'],
    [{ REDIS_URL: '', REDIS_HOST: '', REDIS_PORT: '6379' }, '.sluice/sluice.db'],
  ])('%j keeps it in %s', (env, file) => {
    const { state, warnings } = fromEnvironment(env);
    expect(state).toEqual({ kind: 'sqlite', file });
    expect(warnings).toEqual([]);
  });

  test.each([
    ['postgresql://u:secret@h/db', `Postgres is not supported; ${REMEDY}`],
    ['postgres://h', `Postgres is not supported; ${REMEDY}`],
    ['mysql://h', `MySQL is not supported; ${REMEDY}`],
    ['mongodb+srv://h', `MongoDB is not supported; ${REMEDY}`],
    ['/var/lib/db', `must be a sqlite: or redis:// URL; ${REMEDY}`],
    ['sqlite:', `names no file; ${REMEDY}`],
    ['sqlite:state/', `names a folder, not a file; ${REMEDY}`],
    ['sqlite:a\0b', `has a character that no path can have; ${REMEDY}`],
    [
      'sqlite:///state.db',
      `begins with sqlite://, which says different things to different programs; ${REMEDY}`,
    ],
    ['redis://h:port', 'has a host that is none'],
  ])('DATABASE_URL=%s is a fault that says what to set instead', (value, problem) => {
    expect(faultsOfEnvironment({ DATABASE_URL: value })).toEqual([`environment: DATABASE_URL: ${problem}`]);
  });

  test('database_url in the file is judged alike, and wins over the environment', () => {
    expect(faultsOf(general('database_url: "postgresql://h"'))).toEqual([
      `config.yaml:2: general_settings.database_url: Postgres is not supported; ${REMEDY}`,
    ]);
    const redis = parsed(general('database_url: os.environ/X'), { X: 'redis://h' });
    expect(redis.state).toMatchObject({ kind: 'redis', nodes: [{ host: 'h', port: 6379 }] });
    const both = parsed(general('database_url: sqlite:a.db'), { DATABASE_URL: 'sqlite:b.db' });
    expect(both.state).toEqual({ kind: 'sqlite', file: 'a.db' });
  });

  test('a Redis beside a DATABASE_URL is not used, and that is said', () => {
    const { state, warnings } = fromEnvironment({ DATABASE_URL: 'sqlite:a.db', REDIS_URL: 'redis://h' });
    expect(state).toEqual({ kind: 'sqlite', file: 'a.db' });
    expect(warnings).toEqual(['environment: REDIS_URL: is not used: DATABASE_URL says where state is kept']);
  });
});

describe('tls', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-config-'));
  const put = (name: string, contents: string | Buffer) => writeFileSync(join(directory, name), contents);
  const { cert, key } = selfSignedCertificate();
  put('cert.pem', cert);
  put('key.pem', key);
  put('other.pem', selfSignedCertificate('other').key);
  put('text.pem', 'nothing of the kind');
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  put('encrypted.pem', privateKey);

  test('reads certificate and key, relative to the configuration', () => {
    const config = parsed(general('tls: {cert: cert.pem, key: ./key.pem}'), {}, directory);
    expect(config.tls).toEqual({ cert, key });
  });

  test.each([
    ['{cert: cert.pem}', ': has no key'],
    ['{cert: cert.pem, keey: key.pem}', '.keey: unknown key; did you mean key?'],
    ['{cert: none.pem, key: key.pem}', '.cert: can\'t read "none.pem": no such file'],
    ['{cert: ., key: key.pem}', '.cert: can\'t read ".": it is a directory, not a file'],
    ['{cert: text.pem, key: key.pem}', '.cert: the file holds no certificate in PEM form'],
    ['{cert: cert.pem, key: text.pem}', '.key: the file holds no private key in PEM form'],
    ['{cert: cert.pem, key: encrypted.pem}', '.key: the private key wants a passphrase; store it without'],
    ['{cert: cert.pem, key: other.pem}', '.key: is not the key of this certificate'],
    ['true', ': must be a mapping of keys to values, not true'],
  ])('%s is a fault', (written, fault) => {
    expect(faultsOf(general(`tls: ${written}`), {}, directory)).toEqual([
      `config.yaml:2: general_settings.tls${fault}`,
    ]);
  });
});

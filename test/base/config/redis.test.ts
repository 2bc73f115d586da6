import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { REDIS_DEFAULTS, redisStateFrom } from '../../../src/base/config/redis-url.ts';
import { redisFromVariables } from '../../../src/base/config/redis-variables.ts';
import { faultsOfEnvironment } from './parsed.ts';

const node = (host: string, port = 6_379) => ({ host, port });

describe('a Redis URL', () => {
  test.each([
    ['redis://h', { nodes: [node('h')] }],
    ['REDIS://h:7000', { nodes: [node('h', 7_000)] }],
    ['redis://h/', { nodes: [node('h')] }],
    ['redis://h/3', { nodes: [node('h')], database: 3 }],
    ['redis://[::1]:7000', { nodes: [node('::1', 7_000)] }],
    ['rediss://h', { nodes: [node('h')], tls: true }],
    ['rediss://h?ssl_cert_reqs=none', { nodes: [node('h')], tls: true, verifyTls: false }],
    ['redis://:p%40ss@h', { nodes: [node('h')], password: 'p@ss' }],
    // Managed services hand out passwords that nobody has encoded; the last @ is the one that counts.
    ['redis://u:p@ss:w@h:1', { nodes: [node('h', 1)], username: 'u', password: 'p@ss:w' }],
    ['redis://h?prefix=team-a', { nodes: [node('h')], prefix: 'team-a' }],
    ['redis://a,b:7001', { topology: 'cluster', nodes: [node('a'), node('b', 7_001)] }],
    ['redis://a:1,redis://b:2', { topology: 'cluster', nodes: [node('a', 1), node('b', 2)] }],
    ['redis://a?cluster=true', { topology: 'cluster', nodes: [node('a')] }],
    ['redis://a?cluster=false', { nodes: [node('a')] }],
    [
      'rediss+cluster://u:p@a',
      { topology: 'cluster', nodes: [node('a')], tls: true, username: 'u', password: 'p' },
    ],
    [
      'redis+sentinel://:p@a,b:1/main/2?sentinel_username=s&sentinel_password=t',
      {
        topology: 'sentinel',
        nodes: [node('a', 26_379), node('b', 1)],
        masterName: 'main',
        database: 2,
        password: 'p',
        sentinelUsername: 's',
        sentinelPassword: 't',
      },
    ],
    ['redis-sentinel://a', { topology: 'sentinel', nodes: [node('a', 26_379)], masterName: 'mymaster' }],
  ])('%s', (url, parts) => {
    expect(redisStateFrom(url)).toEqual({ ...REDIS_DEFAULTS, ...parts });
  });

  test.each([
    ['redis://', 'names no host'],
    ['redis:///0', 'names no host'],
    ['redis://a,', 'names no host'],
    ['redis://a b', 'has a host that is none'],
    ['redis://a:0', 'has a port that is none'],
    ['redis://a:65536', 'has a port that is none'],
    ['redis://a/x', 'has a database that is no number'],
    ['redis://a,b/1', 'a Redis Cluster has no database but 0'],
    ['redis://%zz@a', 'has a % that begins no percent-encoded character'],
    ['redis://a?cluster=perhaps', 'cluster must be true or false'],
    ['redis+sentinel://a?cluster=true', 'means Sentinel and Cluster at once'],
    ['redis://a?prefix={x}', 'prefix has characters other than letters, digits, _ . : -'],
    [
      'redis://a?db=1',
      'has an unknown parameter "db"; there are cluster, prefix, ssl_cert_reqs, sentinel_username, sentinel_password',
    ],
  ])('%s is a fault: %s', (url, problem) => {
    expect(redisStateFrom(url)).toEqual({ kind: 'problem', problem });
  });

  test('is read or told of, whatever stands in it, and its password is in no message', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = redisStateFrom(`redis://u:geheim@${text}`);
        expect(read.kind === 'problem' ? read.problem : '').not.toContain('geheim');
      }),
    );
  });
});

describe('the variables that LiteLLM reads', () => {
  const reading = (env: Readonly<Record<string, string>>) => redisFromVariables(env)?.reading;

  test('REDIS_HOST and what goes with it', () => {
    const env = {
      REDIS_HOST: 'h',
      REDIS_PORT: '7000',
      REDIS_USERNAME: 'u',
      REDIS_PASSWORD: 'p@:/',
      REDIS_DB: '2',
      REDIS_SSL: 'True',
      REDIS_SSL_CERT_REQS: 'none',
    };
    expect(reading(env)).toEqual({
      ...REDIS_DEFAULTS,
      nodes: [node('h', 7_000)],
      username: 'u',
      password: 'p@:/',
      database: 2,
      tls: true,
      verifyTls: false,
    });
    expect(reading({ REDIS_HOST: 'h' })).toEqual({ ...REDIS_DEFAULTS, nodes: [node('h')] });
  });

  test.each([
    '[{"host": "a", "port": "7001"}, {"host": "b", "port": 7002}]',
    '[{"port": "7001", "host": "a"}, {"host": "b", "port": 7002}]',
    '[["a", 7001], ["b", "7002"]]',
    'a:7001,b:7002',
  ])('REDIS_CLUSTER_NODES=%s', (value) => {
    expect(reading({ REDIS_CLUSTER_NODES: value, REDIS_HOST: 'x', REDIS_PASSWORD: 'p' })).toEqual({
      ...REDIS_DEFAULTS,
      topology: 'cluster',
      nodes: [node('a', 7_001), node('b', 7_002)],
      password: 'p',
    });
  });

  test('REDIS_SENTINEL_NODES, REDIS_SERVICE_NAME and REDIS_SENTINEL_PASSWORD', () => {
    const env = {
      REDIS_SENTINEL_NODES: '[["localhost", 26379]]',
      REDIS_SERVICE_NAME: 'main',
      REDIS_SENTINEL_PASSWORD: 's',
    };
    expect(reading(env)).toEqual({
      ...REDIS_DEFAULTS,
      topology: 'sentinel',
      nodes: [node('localhost', 26_379)],
      masterName: 'main',
      sentinelPassword: 's',
    });
  });

  test('REDIS_URL comes before all others', () => {
    expect(reading({ REDIS_URL: 'redis://h', REDIS_HOST: 'x', REDIS_CLUSTER_NODES: 'y' })).toEqual({
      ...REDIS_DEFAULTS,
      nodes: [node('h')],
    });
    expect(redisFromVariables({ REDIS_URL: '', REDIS_PORT: '1' })).toBeNull();
  });

  test.each([
    [{ REDIS_URL: 'localhost:6379' }, 'REDIS_URL: must be a URL like redis://user:password@host:6379/0'],
    [{ REDIS_HOST: 'h', REDIS_PORT: 'x' }, 'REDIS_HOST: has a port that is none'],
    [{ REDIS_CLUSTER_NODES: '[' }, 'REDIS_CLUSTER_NODES: is neither JSON nor host:port,host:port'],
    [{ REDIS_CLUSTER_NODES: '[]' }, 'REDIS_CLUSTER_NODES: must be a list of nodes'],
    [{ REDIS_CLUSTER_NODES: '[null]' }, 'REDIS_CLUSTER_NODES: has a node without host'],
    [{ REDIS_SENTINEL_NODES: '[{"port": 1}]' }, 'REDIS_SENTINEL_NODES: has a node without host'],
  ])('%j is a fault', (env, fault) => {
    expect(faultsOfEnvironment(env)).toEqual([`environment: ${fault}`]);
  });
});

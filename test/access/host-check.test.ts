import { describe, expect, test } from 'vitest';
import { createHostCheck } from '../../src/access/host-check.ts';
import { SluiceError } from '../../src/base/errors.ts';

const check = createHostCheck(['gateway.example.com', '[fd00::1]']);

describe('a loopback control plane without master key', () => {
  test.each([
    'localhost',
    'localhost:4000',
    'LOCALHOST:4000',
    'localhost.',
    'app.localhost:4000',
    '127.0.0.1',
    '127.8.9.1:80',
    '2130706433',
    '[::1]:4000',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]:4000',
    '0.0.0.0:4000',
    '[::]:4000',
    'gateway.example.com',
    'Gateway.Example.com:443',
    '[fd00:0::1]:4000',
  ])('answers under the name %s', (host) => {
    expect(() => check(host, undefined)).not.toThrow();
    expect(() => check('localhost', `http://${host}`)).not.toThrow();
  });

  test.each([
    'evil.example',
    'localhost.evil.example',
    'evil-localhost',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '[fe80::1]',
    'localhost@evil.example',
    'localhost:99999',
    'a b',
    '[',
    '',
    'localhost/evil',
    'notgateway.example.com',
  ])('refuses the name %j', (host) => {
    expect(() => check(host, undefined)).toThrow(SluiceError);
    expect(() => check('localhost', `https://${host}`)).toThrow(/allowed_hosts/);
  });

  test('refuses the origin of a sandboxed page', () => {
    expect(() => check('localhost', 'null')).toThrow(/Origin "null"/);
  });

  test('answers a client that names nothing', () => {
    expect(() => check(undefined, undefined)).not.toThrow();
  });
});

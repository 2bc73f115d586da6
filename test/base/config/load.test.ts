import { chmodSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { processEnvironment } from '../../../src/base/config/environment.ts';
import { ConfigError, loadConfig } from '../../../src/base/config/load.ts';
import { PROVIDERS } from '../../../src/upstream/providers.ts';
import { selfSignedCertificate } from '../../helpers/certificate.ts';

const directory = mkdtempSync(join(tmpdir(), 'sluice-load-'));
const put = (name: string, contents: string | Buffer): string => {
  const file = join(directory, name);
  writeFileSync(file, contents);
  return file;
};
const load = (file: string | null, env = {}) => loadConfig({ file, env, providers: PROVIDERS });

function fault(file: string): string {
  try {
    load(file);
  } catch (thrown) {
    if (thrown instanceof ConfigError && thrown.faults.length === 1) return thrown.message;
    throw thrown;
  }
  throw new Error('it loaded');
}

describe('loadConfig', () => {
  test('reads a file, and names its faults with the path as given', () => {
    const file = put('good.yaml', 'general_settings: {master_key: sk-1}');
    expect(load(file)).toMatchObject({ file, masterKey: 'sk-1' });
    const bad = put('bad.yaml', '\nmaster_key: sk-1');
    expect(fault(bad)).toBe(`${bad}:2: master_key: unknown key here; it belongs to general_settings`);
  });

  test('reads the environment alone where no file is given', () => {
    expect(load(null, { SLUICE_MASTER_KEY: 'sk-1' })).toMatchObject({ file: null, masterKey: 'sk-1' });
    expect(loadConfig({ env: {}, providers: PROVIDERS }).deployments).toEqual([]);
  });

  test('takes a byte order mark and CRLF as they come', () => {
    const file = put('windows.yaml', '\ufeffgeneral_settings:\r\n  master_key: sk-1\r\n  timeout: 5\r\n');
    expect(load(file).masterKey).toBe('sk-1');
  });

  test('finds certificates beside the file, wherever the process runs', () => {
    mkdirSync(join(directory, 'nested'));
    const { cert, key } = selfSignedCertificate();
    put('nested/cert.pem', cert);
    put('nested/key.pem', key);
    const file = put('nested/config.yaml', 'general_settings: {tls: {cert: cert.pem, key: key.pem}}');
    expect(load(file).tls).toEqual({ cert, key });
  });

  test('says why a file can’t be read, in one fault', () => {
    const missing = join(directory, 'missing.yaml');
    expect(fault(missing)).toBe(`${missing}: can't be read: no such file`);
    expect(fault(directory)).toBe(`${directory}: can't be read: it is a directory, not a file`);
    const below = join(put('file', ''), 'config.yaml');
    expect(fault(below)).toBe(`${below}: can't be read: a part of its path is no directory`);
    const loop = join(directory, 'loop');
    symlinkSync(loop, loop);
    expect(fault(loop)).toBe(`${loop}: can't be read: its symbolic links lead in a circle`);
    const latin = put('latin1.yaml', Buffer.from([0x61, 0x3a, 0xe9]));
    expect(fault(latin)).toBe(`${latin}: can't be read: it is not UTF-8 text`);
    const utf16 = put('utf16.yaml', Buffer.from('\ufeffa: 1', 'utf16le'));
    expect(fault(utf16)).toBe(`${utf16}: can't be read: it is not UTF-8 text`);
  });

  test('says so when it may not read the file', () => {
    const file = put('secret.yaml', 'model_list: []');
    chmodSync(file, 0);
    // Root reads it all the same; then there is nothing to say.
    if (process.getuid?.() === 0) expect(load(file).deployments).toEqual([]);
    else expect(fault(file)).toBe(`${file}: can't be read: no permission to read it`);
  });
});

describe('processEnvironment', () => {
  test('is a frozen copy of the process’s environment', () => {
    const environment = processEnvironment();
    expect(environment.PATH).toBe(process.env.PATH);
    expect(Object.isFrozen(environment)).toBe(true);
  });
});

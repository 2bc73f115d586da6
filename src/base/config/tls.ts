import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from './config.ts';
import { text } from './fields.ts';
import { readProblem } from './read-problem.ts';
import type { Path } from './report.ts';
import { quote, type Reading, readSection, section } from './section.ts';
import type { YamlValue } from './yaml-tree.ts';

export const TLS = section({
  description: 'Serve HTTPS, with HTTP/2, instead of cleartext.',
  used: {
    cert: text({ description: 'The file with the certificate chain, PEM; relative to the configuration.' }),
    key: text({
      description: 'The file with its private key, PEM, without passphrase; relative to the configuration.',
    }),
  },
  required: ['cert', 'key'],
});

const TLS_PATH: Path = ['general_settings', 'tls'];

/** Reads the certificate and its key, which must be usable and belong together. */
export function readTls(value: YamlValue | undefined, baseDir: string, reading: Reading): Config['tls'] {
  if (value === undefined || value === null) return null;
  const values = readSection(TLS, value, TLS_PATH, reading);
  const cert =
    values.cert === undefined ? null : readPem(values.cert, [...TLS_PATH, 'cert'], baseDir, reading);
  const key = values.key === undefined ? null : readPem(values.key, [...TLS_PATH, 'key'], baseDir, reading);
  const certificate = cert === null ? null : certificateFrom(cert, reading);
  const privateKey = key === null ? null : privateKeyFrom(key, reading);
  if (certificate !== null && privateKey !== null && !certificate.checkPrivateKey(privateKey)) {
    reading.report.fault([...TLS_PATH, 'key'], 'is not the key of this certificate');
  }
  return cert === null || key === null ? null : { cert, key };
}

function readPem(file: string, at: Path, baseDir: string, reading: Reading): Buffer | null {
  try {
    return readFileSync(resolve(baseDir, file));
  } catch (thrown) {
    reading.report.fault(at, `can't read ${quote(file)}: ${readProblem(thrown)}`);
    return null;
  }
}

function certificateFrom(pem: Buffer, reading: Reading): X509Certificate | null {
  try {
    const certificate = new X509Certificate(pem);
    if (certificate.validToDate.getTime() < Date.now()) {
      reading.report.warn([...TLS_PATH, 'cert'], `the certificate expired on ${certificate.validTo}`);
    }
    return certificate;
  } catch {
    reading.report.fault([...TLS_PATH, 'cert'], 'the file holds no certificate in PEM form');
    return null;
  }
}

function privateKeyFrom(pem: Buffer, reading: Reading): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    const problem = pem.includes('ENCRYPTED')
      ? 'the private key wants a passphrase; store it without'
      : 'the file holds no private key in PEM form';
    reading.report.fault([...TLS_PATH, 'key'], problem);
    return null;
  }
}

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { selfSignedCertificate } from '../helpers/certificate.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { type Serving, startServing, temporaryFolder } from '../helpers/program.ts';
import { startVllmSim } from '../vllm-sim/index.ts';

const INSECURE = { rejectUnauthorized: false };

interface Secured {
  readonly program: Serving;
  readonly file: string;
  /** Puts another certificate in the place of the one in use. */
  replaceCertificate(commonName: string): void;
}

/** The program with a certificate, in front of a simulator. */
async function secured(): Promise<Secured> {
  const sim = await startVllmSim();
  onTestFinished(() => sim.close());
  const folder = temporaryFolder();
  const file = join(folder, 'config.yaml');
  const replaceCertificate = (commonName: string): void => {
    const { cert, key } = selfSignedCertificate(commonName);
    writeFileSync(join(folder, 'cert.pem'), cert);
    writeFileSync(join(folder, 'key.pem'), key);
  };
  replaceCertificate('first');
  writeFileSync(file, 'general_settings:\n  tls: { cert: cert.pem, key: key.pem }\n');
  const program = await startServing({ args: ['--config', file], env: { HOSTED_VLLM_API_BASE: sim.url } });
  return { program, file, replaceCertificate };
}

/** Asks for a path over HTTPS with HTTP/1.1. */
async function askHttp1(port: number, path: string): Promise<{ status: number | undefined; body: string }> {
  const sent = request({ port, path, ...INSECURE });
  sent.end();
  const [answer] = await once(sent, 'response');
  let body = '';
  for await (const chunk of answer) body += chunk;
  return { status: answer.statusCode, body };
}

/** The name in the certificate that a new connection is shown. */
async function shownName(port: number): Promise<string | string[] | undefined> {
  const socket = connect({ port, host: '127.0.0.1', ...INSECURE });
  await once(socket, 'secureConnect');
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return CN;
}

describe('a port with a certificate', () => {
  test('serves HTTP/1.1 and HTTP/2, as ALPN agrees', async () => {
    const { program } = await secured();
    expect(program.url).toMatch(/^https:/);
    for (const [offer, agreed] of [
      [['h2', 'http/1.1'], 'h2'],
      [['http/1.1'], 'http/1.1'],
      [undefined, false],
    ] as const) {
      const socket = connect({
        port: program.port,
        host: '127.0.0.1',
        ...(offer !== undefined && { ALPNProtocols: [...offer] }),
        ...INSECURE,
      });
      await once(socket, 'secureConnect');
      expect(socket.alpnProtocol).toBe(agreed);
      socket.destroy();
    }
    const version = { version: expect.stringMatching(/^\d/) };
    const plain = await askHttp1(program.port, '/vllm/version');
    expect([plain.status, JSON.parse(plain.body)]).toEqual([200, version]);
    const session = connectHttp2(program.url, INSECURE);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ':path': '/vllm/version' });
    let body = '';
    for await (const chunk of stream.setEncoding('utf8')) body += chunk;
    expect(JSON.parse(body)).toEqual(version);
  });

  test('takes a new certificate on SIGHUP, for new connections; the old ones go on', async () => {
    const { program, replaceCertificate } = await secured();
    expect(await shownName(program.port)).toBe('first');
    const session = connectHttp2(program.url, INSECURE);
    onTestFinished(() => session.destroy());
    await once(session, 'connect');
    replaceCertificate('second');
    program.signal('SIGHUP');
    await program.line(({ msg }) => msg === 'configuration reloaded');
    expect(await shownName(program.port)).toBe('second');
    const [headers] = await once(session.request({ ':path': '/vllm/version' }), 'response');
    expect(headers[':status']).toBe(200);
  });

  test('keeps its certificate when the new one is unusable, and says why', async () => {
    const { program, file } = await secured();
    writeFileSync(join(file, '../cert.pem'), 'not a certificate');
    program.signal('SIGHUP');
    const { msg } = await program.line((line) => String(line.msg).includes('not reloaded'));
    expect(msg).toMatch(/config\.yaml:2:.*tls\.cert.*no certificate in PEM form/);
    expect(await shownName(program.port)).toBe('first');
  });

  test('says that it stays as it is when a reload takes the certificate away', async () => {
    const { program, file } = await secured();
    writeFileSync(file, 'general_settings: {}\n');
    const line = await program.line(({ msg }) => String(msg).includes('tls'));
    expect(line).toMatchObject({ level: 'warn', msg: expect.stringContaining('next start') });
    expect((await askHttp1(program.port, '/vllm/version')).status).toBe(200);
  });

  test('outlives garbage in place of a handshake', async () => {
    const { program } = await secured();
    const cleartext = await fetch(program.url.replace('https', 'http')).catch((error: Error) => error);
    expect(cleartext).toBeInstanceOf(Error);
    expect((await askHttp1(program.port, '/vllm/version')).status).toBe(200);
    expect([program.alive, program.stderr]).toEqual([true, '']);
  });
});

describe('an upstream with a certificate of its own making', () => {
  async function upstream(): Promise<string> {
    const server = createServer(selfSignedCertificate(), (_request, response) =>
      response.end('secret place'),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `https://localhost:${(server.address() as AddressInfo).port}`;
  }

  const configFor = (url: string, more = ''): string => `${more}model_list:
  - model_name: safe
    params: { model: hosted_vllm/safe, api_base: "${url}" }
`;

  test('is served with ssl_verify: false', async () => {
    const config = configFor(await upstream(), 'litellm_settings: { ssl_verify: false }\n');
    const { url } = await startTestGateway(config);
    const answer = await fetch(`${url}/vllm/anything`);
    expect([answer.status, await answer.text()]).toEqual([200, 'secret place']);
  });

  test('is refused without, with 502 that names the deployment and not its address', async () => {
    const address = await upstream();
    const { url, line } = await startTestGateway(configFor(address));
    const answer = await fetch(`${url}/vllm/anything`);
    const text = await answer.text();
    expect(answer.status).toBe(502);
    const deployment = String((await line(({ msg }) => msg === 'request')).target);
    expect(JSON.parse(text)).toEqual({
      error: {
        message: `The upstream ${JSON.stringify(deployment)} could not be reached securely: TLS failed.`,
        type: 'api_error',
        param: null,
        code: 'upstream_unreachable',
      },
    });
    expect(text).not.toContain(new URL(address).port);
    expect(deployment).toContain('safe');
  });

  test('is taken or refused anew when a reload says so', async () => {
    const address = await upstream();
    const { url, reconfigure } = await startTestGateway(configFor(address));
    expect((await fetch(`${url}/vllm/anything`)).status).toBe(502);
    reconfigure(configFor(address, 'litellm_settings: { ssl_verify: false }\n'));
    expect((await fetch(`${url}/vllm/anything`)).status).toBe(200);
    reconfigure(configFor(address));
    expect((await fetch(`${url}/vllm/anything`)).status).toBe(502);
  });
});

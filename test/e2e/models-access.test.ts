import { Code, createClient } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { ask, errorOf, open, PROTOCOLS, type Protocol } from '../helpers/ask.ts';
import { refusalOf, transportTo, WIRES } from '../server/rpc-fixture.ts';
import { startModels } from './models-fixture.ts';

const KEY = 'sk-master';

/** Every REST path of ModelService. */
const PATHS: readonly string[] = [
  'POST /llm/configure_model/',
  'POST /llm/load_model/a',
  'GET /llm/load_model/a/events',
  'POST /llm/unload_model/a',
  'POST /llm/inference/',
  'POST /llm/inference/stream',
  'GET /llm/configurations/',
  'GET /llm/configuration/a',
  'DELETE /llm/configuration/a',
  'GET /llm/loaded_models/',
  'GET /llm/model_statuses',
];

const RPC = '/sluice.v1.ModelService/ConfigureModel';

const refusals = [
  [[], 'missing_key', /no API key passed in/],
  [['Authorization', 'Bearer sk-another'], 'unknown_key', /./],
  [['Authorization', 'Basic c2s6'], 'malformed_key', /./],
] as const;

describe('with a master key', () => {
  test.each(PROTOCOLS)('over %s every path of REST refuses who shows none, or another', async (protocol) => {
    const { port } = await startModels({ masterKey: KEY });
    for (const request of PATHS) {
      const [method = '', path = ''] = request.split(' ');
      for (const [headers, code, words] of refusals) {
        const answer = await ask(protocol, port, { method, path, headers });
        const error = { code, type: 'authentication_error', message: expect.stringMatching(words) };
        expect.soft([answer.status, errorOf(answer)], `${request} ${headers}`).toMatchObject([401, error]);
        expect.soft(answer.header('www-authenticate'), request).toBe('Bearer');
        expect.soft(answer.body.toString()).not.toContain('sk-another');
      }
    }
  });

  test.each(PROTOCOLS)('over %s nothing of a body is read from who shows none', async (protocol) => {
    const gateway = await startModels({ masterKey: KEY });
    const rpcHeaders = ['Content-Type', 'application/json'];
    for (const [path, headers] of [
      ['/llm/configure_model/', rpcHeaders],
      [RPC, rpcHeaders],
      [RPC, ['Content-Type', 'application/proto']],
      [RPC, ['Content-Type', 'application/grpc']],
    ] as const) {
      // A body that never comes: an answer means that nobody waits for it.
      const live = open(protocol, gateway.port, { method: 'POST', path, headers, body: [] });
      const { status } = await live.head();
      expect.soft(status, `${path} ${headers[1]}`).toBe(headers[1] === 'application/grpc' ? 200 : 401);
      // The whole connection: Node's own client aborts the process when it resets a stream that waits for trailers
      // while the server resets it too (Http2Stream::OnTrailers).
      live.leave();
    }
    const told = () => gateway.lines.filter(({ msg }) => msg === 'request');
    await expect.poll(() => told().length).toBe(4);
    for (const line of told()) expect(line).toMatchObject({ why: 'missing_key', bytes_in: 0 });
  });

  test.each(WIRES)(
    'over $protocol on HTTP/$httpVersion every method refuses who shows none',
    async (wire) => {
      const { url } = await startModels({ masterKey: KEY });
      const client = createClient(ModelService, transportTo(url, wire));
      const calls: readonly (() => Promise<unknown>)[] = [
        () => client.configureModel({ modelId: 'm', modelName: 'n', modelType: 'vllm' }),
        () => client.loadModel({ configId: 'a' }),
        () => client.watchLoad({ configId: 'a' })[Symbol.asyncIterator]().next(),
        () => client.unloadModel({ modelId: 'a' }),
        () => client.infer({ modelId: 'a', prompt: 'x' }),
        () => client.streamInfer({ modelId: 'a', prompt: 'x' })[Symbol.asyncIterator]().next(),
        () => client.listConfigurations({}),
        () => client.getConfiguration({ configId: 'a' }),
        () => client.deleteConfiguration({ configId: 'a' }),
        () => client.listLoadedModels({}),
        () => client.listModelStatuses({}),
      ];
      for (const call of calls) expect.soft((await refusalOf(call())).code).toBe(Code.Unauthenticated);
    },
  );

  test('lets the key in from any name, whatever the page', async () => {
    const gateway = await startModels({ masterKey: KEY });
    const headers = [
      'Host',
      'gpu.example',
      'Origin',
      'https://app.example',
      'Authorization',
      `Bearer ${KEY}`,
    ];
    const answer = await ask('HTTP/1.1', gateway.port, { path: '/llm/configurations/', headers });
    expect([answer.status, answer.body.toString()]).toEqual([200, '[]']);
  });
});

describe('without a master key', () => {
  const requests = [
    ['GET', '/llm/configurations/', []],
    ['POST', '/llm/load_model/a', []],
    ['POST', '/sluice.v1.ModelService/ListConfigurations', ['Content-Type', 'application/json']],
    [
      'POST',
      '/sluice.v1.ModelService/ListConfigurations',
      ['Content-Type', 'application/grpc', 'TE', 'trailers'],
    ],
    [
      'POST',
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      ['Content-Type', 'application/grpc'],
    ],
    ['GET', '/docs', []],
    ['GET', '/openapi.json', []],
    ['GET', '/config/pass_through_endpoint', []],
  ] as const;

  /** A request as a browser would send it that was led here by another name, or by another page. */
  function asked(
    protocol: Protocol,
    port: number,
    [method, path, headers]: (typeof requests)[number],
    more: readonly string[],
  ) {
    return ask(protocol, port, {
      method,
      path,
      headers: [...headers, ...more],
      ...(method === 'POST' && { body: '' }),
    });
  }

  const foreign = [
    [['Host', 'evil.example'], 'host'],
    [['Host', 'localhost.evil.example'], 'host'],
    [['Host', 'localhost', 'Origin', 'https://evil.example'], 'origin'],
    [['Host', 'localhost', 'Origin', 'null'], 'origin'],
  ] as const;

  test('foreign names and pages are refused, on every path of the control plane', async () => {
    const gateway = await startModels();
    for (const request of requests) {
      for (const [headers, param] of foreign) {
        const answer = await asked('HTTP/1.1', gateway.port, request, headers);
        const what = `${request[1]} ${headers.join(' ')}`;
        expect
          .soft([answer.status, errorOf(answer)], what)
          .toMatchObject([403, { code: 'forbidden_host', param }]);
      }
    }
  });

  test('this machine’s own names and pages pass', async () => {
    const gateway = await startModels();
    const port = String(gateway.port);
    for (const request of requests) {
      for (const headers of [
        ['Host', `localhost:${port}`],
        ['Host', `127.0.0.1:${port}`],
        ['Host', '[::1]'],
        ['Host', `localhost:${port}`, 'Origin', `http://localhost:${port}`],
      ]) {
        const answer = await asked('HTTP/1.1', gateway.port, request, headers);
        const what = `${request[1]} ${headers.join(' ')}`;
        if (request[0] === 'GET') expect.soft(answer.status, what).toBe(200);
        // By HTTP/1.1 and with an empty body an RPC has other faults.
        else expect.soft(answer.status, what).not.toBe(403);
      }
    }
  });

  test('HTTP/2 has its name in :authority, and is asked the same', async () => {
    const gateway = await startModels();
    // The test's own client calls itself gateway.test.
    for (const request of requests) {
      expect.soft((await asked('HTTP/2', gateway.port, request, [])).status, request[1]).toBe(403);
    }
    const client = gateway.client({ protocol: 'grpc', httpVersion: '2' });
    expect((await client.listConfigurations({})).configurations).toEqual([]);
    const { code } = await refusalOf(
      client.listConfigurations({}, { headers: { origin: 'https://evil.example' } }),
    );
    expect(code).toBe(Code.PermissionDenied);
  });

  test('an allowed name passes, and health answers to all', async () => {
    const gateway = await startModels({ settings: 'allowed_hosts: [gpu.example]' });
    const at = async (path: string, host: string) =>
      (await ask('HTTP/1.1', gateway.port, { path, headers: ['Host', host] })).status;
    expect(await at('/llm/configurations', 'gpu.example')).toBe(200);
    expect(await at('/llm/configurations', 'evil.example')).toBe(403);
    expect(await at('/health', 'evil.example')).toBe(200);
  });
});

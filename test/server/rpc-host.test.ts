import { expect, test } from 'vitest';
import { exchange } from './port-raw-connection.ts';
import { startRpc } from './rpc-fixture.ts';

const PATH = '/sluice.v1.ModelService/ListLoadedModels';

function post(host: string | null, version: '1.0' | '1.1'): string {
  const hostLine = host === null ? '' : `Host: ${host}\r\n`;
  return `POST ${PATH} HTTP/${version}\r\n${hostLine}Connection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`;
}

test.each([
  ['an open bracket', '[', '1.1'],
  ['a space', 'a b', '1.1'],
  ['a port too large', 'a:999999', '1.1'],
  ['nothing in it', '', '1.1'],
  ['no Host on HTTP/1.1', null, '1.1'],
  ['no Host on HTTP/1.0', null, '1.0'],
] as const)(
  'fact 1: answers a Host with %s on an RPC path with 400 and goes on',
  async (_, host, version) => {
    const fixture = await startRpc({ model: { listLoadedModels: () => ({ modelIds: ['a'] }) } });
    const { port } = fixture.port.address;
    expect(await exchange(port, post(host, version))).toMatch(/^HTTP\/1\.1 400 /);
    expect(await exchange(port, post('localhost', '1.1'))).toMatch(
      /^HTTP\/1\.1 200 [\s\S]*\{"modelIds":\["a"\]\}$/,
    );
  },
);

test('fact 1: Host has no say in what an implementation sees as its URL', async () => {
  let url = '';
  const fixture = await startRpc({
    model: {
      listLoadedModels: (_, context) => {
        url = context.url;
        return {};
      },
    },
  });
  await exchange(fixture.port.address.port, post('evil.example', '1.1'));
  expect(url).toBe(`http://localhost${PATH}`);
});

test('answers HTTP/1.0', async () => {
  const fixture = await startRpc({ model: { listLoadedModels: () => ({ modelIds: ['a'] }) } });
  expect(await exchange(fixture.port.address.port, post('localhost', '1.0'))).toMatch(/^HTTP\/1\.1 200 /);
});

import { Code, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { describe, expect, test } from 'vitest';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { OK, startUpstream } from '../helpers/scripted-upstream.ts';
import { collect, type ForwardFixture, headers, startForward } from './forward-fixture.ts';

const MASTER = 'sk-master';
const BEARER = { Authorization: `Bearer ${MASTER}` };

async function house(settings = `master_key: ${MASTER}, `): Promise<ForwardFixture> {
  const { url } = await startUpstream(OK);
  return startForward(`
general_settings: {${settings}pass_through_endpoints: [{path: /open, target: "${url}"}, {path: /closed, target: "${url}", auth: true}]}
`);
}

const WIRES = {
  'Connect on HTTP/1.1': (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: '1.1' }),
  gRPC: (baseUrl: string) => createGrpcTransport({ baseUrl }),
};

/** More than is held of a message for somebody who shows no key. */
const LARGE = new Uint8Array(1_100_000);
const SMALL = new Uint8Array(900_000);

// The whole message has to be there before what it holds can be let in or refused.
describe.each(Object.entries(WIRES))('a stranger, by %s,', (_, transport) => {
  const fetch = async (
    { baseUrl }: ForwardFixture,
    [path, body, pairs = []]: readonly [path: string, body: Uint8Array, headers?: readonly string[]],
    call: Record<string, string> = {},
  ): Promise<number> => {
    const client = createClient(PassthroughService, transport(baseUrl));
    const request = { head: { method: 'POST', path, headers: headers(...pairs) }, body };
    return (await collect(client.fetch(request, { headers: call }))).status;
  };

  test('has no more than 1 MiB held of a message', async () => {
    const fixture = await house();
    const tooMuch = { code: Code.ResourceExhausted };
    await expect(fetch(fixture, ['/open', LARGE])).rejects.toMatchObject(tooMuch);
    await expect(
      fetch(fixture, ['/closed', LARGE], { Authorization: 'Bearer sk-none' }),
    ).rejects.toMatchObject(tooMuch);
    expect(await fetch(fixture, ['/open', SMALL])).toBe(200);
    expect(await fetch(fixture, ['/closed', SMALL])).toBe(401);
    // A key within the message is not seen before.
    expect(await fetch(fixture, ['/closed', SMALL, Object.entries(BEARER).flat()])).toBe(200);
  });

  test('is none who shows a key with the call, and nobody is one where no key is asked for', async () => {
    expect(await fetch(await house(), ['/closed', LARGE], BEARER)).toBe(200);
    expect(await fetch(await house(''), ['/open', LARGE])).toBe(200);
  });
});

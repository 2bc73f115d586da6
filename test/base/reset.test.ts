import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { reset } from '../../src/base/reset.ts';

/** Both ends of a connection; the first is the one that a server accepted. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  return [accepted, client];
}

function errorOf(socket: Socket): Promise<NodeJS.ErrnoException> {
  return new Promise((resolve) => socket.once('error', resolve));
}

test('resets a connection', async () => {
  const [accepted, client] = await pair();
  const error = errorOf(client);
  reset(accepted);
  await once(accepted, 'close');
  expect((await error).code).toBe('ECONNRESET');
});

test('closes a connection whose sending side has ended', async () => {
  const [accepted] = await pair();
  accepted.end();
  await once(accepted, 'finish');
  reset(accepted);
  await once(accepted, 'close');
});

test('closes a connection whose sending side is ending at this moment', async () => {
  const [accepted, client] = await pair();
  accepted.on('error', (error) => expect.fail(error.message));
  accepted.end();
  await new Promise(process.nextTick);
  expect([accepted.writableEnded, accepted.writableFinished]).toEqual([true, false]);
  reset(accepted);
  await Promise.all([once(accepted, 'close'), once(client.resume(), 'end')]);
});

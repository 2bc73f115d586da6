import { Code } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { clientFor, MASTER_KEY, startRpc, type Wire } from './rpc-fixture.ts';

const GRPC: Wire = { protocol: 'grpc', httpVersion: '2' };

// Nobody is asked for a key here, so that what may be held of a message is what anybody can have held, many times.
test('health reads no more than a name', async () => {
  const fixture = await startRpc({ masterKey: MASTER_KEY });
  const health = clientFor(Health, fixture, GRPC);
  await expect(health.check({ service: 'x'.repeat(5_000) })).rejects.toMatchObject({
    code: Code.ResourceExhausted,
  });
  await expect(health.check({ service: 'x'.repeat(4_000) })).rejects.toMatchObject({ code: Code.NotFound });
  await expect(health.check({})).resolves.toMatchObject({ status: 1 });
});

test('reflection reads no more than a name', async () => {
  const fixture = await startRpc({ masterKey: MASTER_KEY });
  const reflection = clientFor(ServerReflection, fixture, GRPC);
  const ask = async (value: string): Promise<string | undefined> => {
    async function* asked() {
      yield { messageRequest: { case: 'fileByFilename' as const, value } };
    }
    for await (const { messageResponse } of reflection.serverReflectionInfo(asked())) {
      return messageResponse.case;
    }
    return undefined;
  };
  await expect(ask('x'.repeat(20_000))).rejects.toMatchObject({ code: Code.ResourceExhausted });
  await expect(ask('x'.repeat(16_000))).resolves.toBe('errorResponse');
});

import { Code, createClient, createRouterTransport } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/grpc/health/v1/health_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { createHealth } from '../../src/service/health.ts';

function start() {
  const health = createHealth(() => [ModelService, Health]);
  const transport = createRouterTransport(({ service }) => {
    service(health.binding.service, health.binding.implementation);
  });
  return { ...health, client: createClient(Health, transport) };
}

test('checks the server and each service', async () => {
  const { client, setServing } = start();
  for (const service of ['', 'sluice.v1.ModelService', 'grpc.health.v1.Health']) {
    expect((await client.check({ service })).status).toBe(Status.SERVING);
  }
  setServing(false);
  expect((await client.check({})).status).toBe(Status.NOT_SERVING);
});

test('knows no other service', async () => {
  const { client } = start();
  await expect(client.check({ service: 'sluice.v1.Nothing' })).rejects.toMatchObject({
    code: Code.NotFound,
    rawMessage: 'There is no service "sluice.v1.Nothing" here.',
  });
});

test('lists all', async () => {
  const { client } = start();
  const { statuses } = await client.list({});
  expect(Object.keys(statuses).sort()).toEqual(['', 'grpc.health.v1.Health', 'sluice.v1.ModelService']);
  expect(Object.values(statuses).every(({ status }) => status === Status.SERVING)).toBe(true);
});

test('tells each change to those who watch', async () => {
  const { client, setServing } = start();
  const leaving = new AbortController();
  const messages = client.watch({}, { signal: leaving.signal })[Symbol.asyncIterator]();
  expect((await messages.next()).value?.status).toBe(Status.SERVING);
  const next = messages.next();
  setServing(false);
  expect((await next).value?.status).toBe(Status.NOT_SERVING);
  const again = messages.next();
  setServing(false);
  setServing(true);
  expect((await again).value?.status).toBe(Status.SERVING);
  const last = messages.next();
  leaving.abort();
  await expect(last).rejects.toMatchObject({ code: Code.Canceled });
});

test('goes on watching a service that nobody knows', async () => {
  const { client, setServing } = start();
  const leaving = new AbortController();
  const messages = client.watch({ service: 'x' }, { signal: leaving.signal })[Symbol.asyncIterator]();
  expect((await messages.next()).value?.status).toBe(Status.SERVICE_UNKNOWN);
  const next = messages.next();
  setServing(false);
  leaving.abort();
  await expect(next).rejects.toMatchObject({ code: Code.Canceled });
});

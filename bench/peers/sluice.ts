import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientModel, masterKey, upstreamModel } from '../load/exchange.ts';
import { freePort, nodeCommand, type Peer, type PeerSetup, type RunningPeer } from './peer.ts';

/** The gateway as an operator runs it: nothing is switched off for the occasion. */
export const sluice: Peer = {
  name: 'sluice',
  setup: 'master key, model table with splice, request log to a file',
  expectedModel: upstreamModel,
  start: (setup) => startSluice(setup, { name: 'sluice', masterKey, environment: {} }),
};

/** The same request, its key being a virtual one with limits that it never meets. */
export const sluiceKey: Peer = {
  name: 'sluice-key',
  setup: 'as sluice, but with a virtual key that has an rpm limit, on the embedded store',
  expectedModel: upstreamModel,
  start: async (setup) => {
    const running = await startSluice(setup, {
      name: 'sluice-key',
      masterKey: ADMINISTRATOR,
      environment: {},
    });
    await giveKey(running.port);
    return running;
  },
};

/** The same on Redis, which shares the load's core. */
export const sluiceRedis: Peer = {
  name: 'sluice-redis',
  setup: 'as sluice-key, on a Redis of the same machine',
  expectedModel: upstreamModel,
  start: async (setup) => {
    const redisPort = await freePort();
    setup.children.start({
      name: 'redis',
      command: [
        ...['redis-server', '--port', String(redisPort), '--bind', '127.0.0.1'],
        ...['--save', '', '--dir', setup.directory],
      ],
      core: setup.loadCore,
      withChannel: false,
    });
    const running = await startSluice(setup, {
      name: 'sluice-redis',
      masterKey: ADMINISTRATOR,
      environment: { REDIS_URL: `redis://127.0.0.1:${redisPort}` },
    });
    await giveKey(running.port);
    return running;
  },
};

const ADMINISTRATOR = 'sk-bench-administrator';

interface Variant {
  readonly name: string;
  readonly masterKey: string;
  readonly environment: Readonly<Record<string, string>>;
}

async function startSluice(setup: PeerSetup, variant: Variant): Promise<RunningPeer> {
  const { children, upstreamPort, proxyCore, directory, proxyCommand, nodeFlags } = setup;
  const port = await freePort();
  const file = join(directory, `sluice-${port}.yaml`);
  writeFileSync(file, configuration(upstreamPort, variant.masterKey));
  const child = children.start({
    name: variant.name,
    command: [...nodeCommand(proxyCommand, nodeFlags), '--config', file, '--port', String(port)],
    core: proxyCore,
    withChannel: false,
    environment: {
      NODE_ENV: 'production',
      SLUICE_DATA_DIR: join(directory, `state-${port}`),
      ...variant.environment,
    },
  });
  return { port, child };
}

/** Makes the key that the load sends a virtual one. */
async function giveKey(port: number): Promise<void> {
  const body = JSON.stringify({ key: masterKey, rpm_limit: 1_000_000_000 });
  for (let tries = 0; ; tries++) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/key/generate`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMINISTRATOR}`, 'content-type': 'application/json' },
        body,
      });
      if (!answer.ok) throw new Error(await answer.text());
      return;
    } catch (error) {
      if (tries === 200) throw error;
      await sleep(50);
    }
  }
}

function configuration(upstreamPort: number, key: string): string {
  return `
model_list:
  - model_name: ${clientModel}
    litellm_params:
      model: hosted_vllm/${upstreamModel}
      api_base: http://127.0.0.1:${upstreamPort}
      api_key: upstream-key
general_settings:
  master_key: ${key}
`;
}

import { Redis } from 'ioredis';
import { freePort, startRedis, type TestRedis } from './redis.ts';

/** A Redis Cluster of three masters. */
export interface TestCluster {
  readonly nodes: readonly TestRedis[];
  /** `redis://host:port,…` */
  readonly url: string;
  stop(): Promise<void>;
}

const SLOTS = 16_384;

export async function startCluster(): Promise<TestCluster> {
  const started = await Promise.all(Array.from({ length: 3 }, startNode));
  const nodes = started.map(({ node }) => node);
  const [first, ...others] = started;
  for (const [index, node] of nodes.entries()) {
    const from = Math.ceil((SLOTS * index) / nodes.length);
    const to = Math.ceil((SLOTS * (index + 1)) / nodes.length) - 1;
    await node.command(
      'cluster',
      'addslots',
      ...Array.from({ length: to - from + 1 }, (_, slot) => from + slot),
    );
    await node.command('cluster', 'set-config-epoch', index + 1);
  }
  for (const { node, busPort } of others) {
    await first?.node.command('cluster', 'meet', '127.0.0.1', node.port, busPort);
  }
  await Promise.all(nodes.map(agreed));
  return {
    nodes,
    url: `redis://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

interface Started {
  readonly node: TestRedis;
  readonly busPort: number;
}

async function startNode(): Promise<Started> {
  // By default it is 10,000 above: beyond the last port where the first is a high one.
  const busPort = await freePort();
  const node = await startRedis({
    arguments: ['--cluster-enabled', 'yes', '--cluster-port', String(busPort)],
  });
  return { node, busPort };
}

/** The node has heard of all slots, and of who has them. */
async function agreed({ port }: TestRedis): Promise<void> {
  const client = new Redis({ port, host: '127.0.0.1', protocol: 2 });
  try {
    for (;;) {
      const info = String(await client.call('cluster', 'info'));
      if (info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3')) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    client.disconnect();
  }
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { masterKey } from '../load/exchange.ts';
import type { Child, Children } from '../measure/children.ts';
import { freePort } from '../peers/peer.ts';

export interface GatewayOptions {
  readonly children: Children;
  /** Exists; configuration and state go there. */
  readonly folder: string;
  readonly core: number | null;
  /** The one route that it has, open to the master key. */
  readonly route: { readonly path: string; readonly target: string };
}

/** The gateway as an operator runs it, with a route to send streams through; resolves when it serves. */
export async function startGateway(
  options: GatewayOptions,
): Promise<{ readonly child: Child; readonly port: number }> {
  const { children, folder, core, route } = options;
  const port = await freePort();
  const file = join(folder, 'config.yaml');
  writeFileSync(
    file,
    `general_settings:
  master_key: ${masterKey}
  pass_through_endpoints:
    - path: ${route.path}
      target: ${route.target}
      auth: true
`,
  );
  const launcher = join(import.meta.dirname, '../../bin/sluice.js');
  const child = children.start({
    name: 'sluice',
    command: [process.execPath, launcher, '--config', file, '--port', String(port)],
    core,
    withChannel: false,
    environment: { NODE_ENV: 'production', SLUICE_DATA_DIR: folder },
  });
  await untilOpen(child, port);
  return { child, port };
}

/** Resolves when something answers HTTP there; rejects when the process has ended, or after 15 s. */
export async function untilOpen(child: Child, port: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const ended = child.exitReport();
    if (ended !== null) throw new Error(ended);
    try {
      await fetch(`http://127.0.0.1:${port}/`);
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error(`${child.name} doesn't serve`);
}

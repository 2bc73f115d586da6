import { createServer } from 'node:net';
import { basename } from 'node:path';
import type { Child, Children } from '../measure/children.ts';

/** Something that takes the load: a proxy, or the upstream itself. */
export interface Peer {
  readonly name: string;
  /** What is set up, in one line, for the report: a ratio is worth what its peer's configuration is. */
  readonly setup: string;
  /** The model name that the upstream must see through it. */
  readonly expectedModel: string;
  start(bench: PeerSetup): Promise<RunningPeer>;
}

export interface PeerSetup {
  readonly children: Children;
  readonly upstreamPort: number;
  readonly proxyCore: number | null;
  /** For what isn't measured. */
  readonly loadCore: number | null;
  /** Exists, and is removed with everything in it at the end of the run. */
  readonly directory: string;
  /** Command line of the gateway, without `--config` and `--port`. */
  readonly proxyCommand: readonly string[];
  /** For the peers that run on Node. */
  readonly nodeFlags: readonly string[];
}

export interface RunningPeer {
  readonly port: number;
  /** Null for the direct call. */
  readonly child: Child | null;
}

/** A port that was free a moment ago: none of the proxies can be asked which one it took. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** `node …` with this process's own Node and `flags` before the script. */
export function nodeCommand(command: readonly string[], flags: readonly string[]): string[] {
  const [program = '', ...rest] = command;
  if (basename(program) === 'node') return [process.execPath, ...flags, ...rest];
  if (flags.length > 0) throw new Error(`node flags need a command that begins with node, not ${program}`);
  return [program, ...rest];
}

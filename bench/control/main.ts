/**
 * `npm run bench:control`: what the control plane costs, against Connect-ES with empty handlers in the same run, and
 * what `Forward` costs against an echo of Connect-ES plus the relay. Ratios are what counts; see docs/performance.md.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { masterKey } from '../load/exchange.ts';
import { Laboratory } from '../load/laboratory.ts';
import { type Child, Children } from '../measure/children.ts';
import { planCores } from '../measure/machine.ts';
import { median } from '../measure/stats.ts';
import { freePort } from '../peers/peer.ts';
import { CONFIGURATION, connectRequest, restRequest } from './exchange.ts';
import { startGateway, untilOpen } from './gateway.ts';
import type { StreamJob, StreamResult } from './stream-load.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, nice: { type: 'string', default: '0' } },
});
const rounds = Math.max(1, Number(values.runs));
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
const children = new Children(folder, Number(values.nice));
const cores = planCores();
process.on('exit', () => {
  children.killAll();
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

interface Server {
  readonly child: Child;
  readonly port: number;
  /** Where gRPC goes: a port of its own with the yardstick, the same one with the gateway. */
  readonly grpcPort: number;
}

function node(name: string, args: readonly string[], core: number | null, withChannel = false): Child {
  return children.start({
    name,
    command: [process.execPath, ...args],
    core,
    withChannel,
    environment: { NODE_ENV: 'production', SLUICE_DATA_DIR: folder },
  });
}

async function startBare(): Promise<Server> {
  const port = await freePort();
  const grpcPort = await freePort();
  const script = join(import.meta.dirname, 'bare-server.ts');
  const child = node('bare', [script, String(port), String(grpcPort)], cores.proxyCore);
  await untilOpen(child, port);
  return { child, port, grpcPort };
}

/** Configures the model that both answer with. */
async function configure(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/llm/configure_model/`, {
    method: 'POST',
    headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model_id: CONFIGURATION.modelId,
      model_name: CONFIGURATION.modelName,
      model_type: CONFIGURATION.modelType,
      model_kwargs: CONFIGURATION.modelKwargs,
    }),
  });
  const body = (await answer.json()) as { readonly config_id?: string };
  if (body.config_id === undefined) throw new Error(`not configured: ${JSON.stringify(body)}`);
  return body.config_id;
}

async function streamLoad(load: Child, job: StreamJob): Promise<StreamResult> {
  const reply = once(load.process, 'message');
  load.process.send(job);
  const [message] = await reply;
  if (message.ok !== true) throw new Error(message.fault);
  return message.result as StreamResult;
}

/** Medians of CPU µs, by name, of several samples taken in turn. */
async function measure(
  samplers: Readonly<Record<string, () => Promise<number>>>,
): Promise<Record<string, number>> {
  const samples: Record<string, number[]> = {};
  for (let round = 0; round <= rounds; round++) {
    for (const [name, sample] of Object.entries(samplers)) {
      const value = await sample();
      // The first round compiles.
      if (round > 0) samples[name] = [...(samples[name] ?? []), value];
    }
  }
  return Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, median(values)]));
}

async function main(): Promise<void> {
  const laboratory = await Laboratory.open(children, cores.loadCore);
  const load = node('stream-load', [join(import.meta.dirname, 'stream-load.ts')], cores.loadCore, true);
  const [{ port: upstreamPort }] = await once(load.process, 'message');
  const bare = await startBare();
  const { child, port } = await startGateway({
    children,
    folder,
    core: cores.proxyCore,
    route: { path: '/echo', target: `http://127.0.0.1:${upstreamPort}/echo` },
  });
  const gateway = { child, port, grpcPort: port };
  const configId = await configure(gateway.port);

  const unary = (server: Server, wire: string) => async (): Promise<number> => {
    const { window, answers } = await laboratory.run('closedLoop', {
      port: server.port,
      subject: { rootPid: server.child.pid, core: cores.proxyCore },
      request: { wire },
      connections: 16,
      warmUpMs: 500,
      measureMs: 1_500,
    });
    return window.proxyCpuUs / answers;
  };
  const stream = (server: Server, kind: StreamJob['kind']) => async (): Promise<number> => {
    const { window, chunks } = await streamLoad(load, {
      kind,
      port: kind === 'forward' ? server.grpcPort : server.port,
      subject: { rootPid: server.child.pid, core: cores.proxyCore },
      streams: 16,
      warmUpMs: 500,
      measureMs: 1_500,
    });
    return window.proxyCpuUs / chunks;
  };

  const call = connectRequest('sluice.v1.ModelService/GetConfiguration', { config_id: configId });
  const calls = await measure({
    bare: unary(bare, call),
    connect: unary(gateway, call),
    rest: unary(gateway, restRequest(`/llm/configuration/${configId}`)),
  });
  const bareCall = calls.bare ?? Number.NaN;
  console.log(`\nunary GetConfiguration, CPU µs a call, median of ${rounds}`);
  console.table({
    'bare Connect-ES, Connect JSON': row(bareCall, bareCall),
    'sluice, Connect JSON': row(calls.connect, bareCall),
    'sluice, REST': row(calls.rest, bareCall),
  });

  const chunks = await measure({
    echo: stream(bare, 'forward'),
    raw: stream(gateway, 'raw'),
    forward: stream(gateway, 'forward'),
  });
  const allowed = (chunks.echo ?? Number.NaN) + (chunks.raw ?? Number.NaN);
  console.log(`\n4 KiB up and back, CPU µs a chunk, median of ${rounds}`);
  console.table({
    'bare Connect-ES, bidi echo over gRPC': row(chunks.echo, allowed),
    'sluice, raw port': row(chunks.raw, allowed),
    'both together': row(allowed, allowed),
    'sluice, Forward over gRPC': row(chunks.forward, allowed),
  });
  await children.stopAll();
}

function row(value: number | undefined, peer: number): { readonly 'CPU µs': string; readonly ratio: string } {
  const us = value ?? Number.NaN;
  return { 'CPU µs': us.toFixed(1), ratio: (us / peer).toFixed(2) };
}

main().catch(async (error: unknown) => {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
  await children.stopAll();
});

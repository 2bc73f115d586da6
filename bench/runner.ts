import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Case, Sample } from './cases/case.ts';
import { chatAnswerBytes } from './load/exchange.ts';
import type { Laboratory } from './load/laboratory.ts';
import type { Children } from './measure/children.ts';
import type { CorePlan } from './measure/machine.ts';
import { costliestFunctions, type SelfTime, type Span } from './measure/profile.ts';
import type { Options } from './options.ts';
import type { Peer, PeerSetup, RunningPeer } from './peers/peer.ts';

export interface Workshop {
  readonly options: Options;
  readonly children: Children;
  readonly laboratory: Laboratory;
  readonly cores: CorePlan;
  readonly directory: string;
}

/** The samples of one peer in one case, a round each, in order. */
export interface PeerSamples {
  readonly peer: Peer;
  readonly samples: Sample[];
  readonly profile: readonly SelfTime[] | null;
}

interface Entrant {
  readonly peer: Peer;
  readonly samples: Sample[];
  readonly spans: Span[];
  readonly profileDirectory: string | null;
  running: RunningPeer | null;
}

/**
 * Runs one case: all peers in turn, several rounds, so that a machine that slows down for a while slows all of
 * them. Every other round goes the other way, so that nobody always comes after the same neighbour.
 */
export async function runCase(shop: Workshop, one: Case): Promise<readonly PeerSamples[]> {
  const entrants = shop.options.peers.map((peer) => entrantFrom(shop, one, peer));
  // Memory repeats itself to a percent; its rounds are the long ones.
  const rounds = shop.options.isQuick && one.isFreshEachRound ? 1 : shop.options.rounds;
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? entrants : entrants.toReversed();
    for (const entrant of order) await takeSample(shop, one, entrant);
  }
  for (const { running } of entrants) await running?.child?.stop();
  return entrants.map(({ peer, samples, spans, profileDirectory }) => ({
    peer,
    samples,
    profile: profileDirectory === null ? null : costliestFunctions(profileDirectory, spans, 40),
  }));
}

function entrantFrom(shop: Workshop, one: Case, peer: Peer): Entrant {
  const isProfiled = shop.options.isProfiling && ['sluice', 'node-pipe'].includes(peer.name);
  const profileDirectory = isProfiled ? join(shop.directory, `profile-${one.name}-${peer.name}`) : null;
  if (profileDirectory !== null) mkdirSync(profileDirectory);
  return { peer, samples: [], spans: [], profileDirectory, running: null };
}

async function takeSample(shop: Workshop, one: Case, entrant: Entrant): Promise<void> {
  const { peer } = entrant;
  const { isQuick } = shop.options;
  const isFirst = entrant.running === null;
  try {
    const running = entrant.running ?? (await startPeer(shop, one, entrant));
    entrant.running = running;
    const core = shop.cores.proxyCore;
    const sample = await one.measure({
      laboratory: shop.laboratory,
      port: running.port,
      subject: running.child === null ? null : { rootPid: running.child.pid, core },
      warmUpMs: isFirst && running.child !== null ? 1_000 : 300,
      measureMs: shop.options.measureMs ?? (isQuick ? 600 : (one.measureMs ?? 0)),
      isQuick,
      reportSpan: (startUs, endUs) => entrant.spans.push({ startUs, endUs }),
    });
    entrant.samples.push(sample);
    if (one.isFreshEachRound) {
      entrant.running = null;
      await running.child?.stop();
    }
  } catch (cause) {
    const report =
      entrant.running?.child?.exitReport() ?? (cause instanceof Error ? cause.message : String(cause));
    throw new Error(`${one.name}, ${peer.name}: ${report}`, { cause });
  }
}

async function startPeer(shop: Workshop, one: Case, entrant: Entrant): Promise<RunningPeer> {
  const { peer, profileDirectory } = entrant;
  const profileFlags =
    profileDirectory === null
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`, '--cpu-prof-interval=200'];
  const setup: PeerSetup = {
    children: shop.children,
    upstreamPort: shop.laboratory.upstreamPort,
    proxyCore: shop.cores.proxyCore,
    loadCore: shop.cores.loadCore,
    directory: shop.directory,
    proxyCommand: shop.options.proxyCommand,
    nodeFlags: [...shop.options.nodeFlags, ...profileFlags],
  };
  const running = await peer.start(setup);
  await untilServing(shop.laboratory, peer, running);
  if (running.child !== null && !one.isFreshEachRound) await compile(shop.laboratory, running.port);
  return running;
}

/** Some ten thousand requests for the just-in-time compiler: at a fixed slow rate it would still be at it when measured. */
async function compile(laboratory: Laboratory, port: number): Promise<void> {
  const job = {
    port,
    subject: null,
    request: 'chat',
    connections: 16,
    warmUpMs: 0,
    measureMs: 1_000,
  } as const;
  await laboratory.run('closedLoop', job);
}

/** Waits for the port to be taken, and then insists on the right answer: a fast wrong one would win every table. */
async function untilServing(laboratory: Laboratory, peer: Peer, running: RunningPeer): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const ended = running.child?.exitReport();
    if (typeof ended === 'string') throw new Error(ended);
    const answer = await laboratory
      .run('probe', { port: running.port })
      .catch((error: Error) => error.message);
    if (typeof answer !== 'string') {
      if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${answer.body.slice(0, 300)}`);
      if (answer.body.length !== chatAnswerBytes) throw new Error(`answered ${answer.body.length} bytes`);
      const model: unknown = JSON.parse(answer.body).model;
      if (model !== peer.expectedModel) {
        throw new Error(`the upstream saw the model "${model}", not "${peer.expectedModel}"`);
      }
      return;
    }
    if (Date.now() > deadline) throw new Error(`not serving after 15 seconds: ${answer}`);
    await sleep(50);
  }
}

import type { ClosedLoopJob, ClosedLoopResult } from './closed-loop.ts';
import type { OpenLoopJob, OpenLoopResult } from './open-loop.ts';
import type { ProbeResult } from './probe.ts';
import type { StreamsJob, StreamsResult } from './streams.ts';

/** What the load generator's process can be asked to do, and what comes back. */
export interface Jobs {
  readonly probe: { readonly input: { readonly port: number }; readonly result: ProbeResult };
  readonly closedLoop: { readonly input: ClosedLoopJob; readonly result: ClosedLoopResult };
  readonly openLoop: { readonly input: OpenLoopJob; readonly result: OpenLoopResult };
  readonly streams: { readonly input: StreamsJob; readonly result: StreamsResult };
  readonly holdStreams: {
    readonly input: { readonly port: number; readonly count: number };
    readonly result: null;
  };
  readonly releaseStreams: { readonly input: null; readonly result: null };
}

export type JobName = keyof Jobs;

export type JobMessage = { [N in JobName]: { readonly name: N; readonly input: Jobs[N]['input'] } }[JobName];

export type JobReply =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly fault: string };

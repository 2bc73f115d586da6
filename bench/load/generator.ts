/**
 * The load's process: upstream and load generator in one event loop, so that they never wait for each other's turn
 * on the core that they share. Tells its parent the upstream's port, then takes one job at a time.
 */
import { runClosedLoop } from './closed-loop.ts';
import type { JobMessage, JobReply } from './jobs.ts';
import { runOpenLoop } from './open-loop.ts';
import { stayAwake } from './poll.ts';
import { probe } from './probe.ts';
import { HeldStreams, runStreams } from './streams.ts';
import { serveUpstream } from './upstream.ts';

const held = new HeldStreams();

async function run(job: JobMessage): Promise<unknown> {
  switch (job.name) {
    case 'probe':
      return probe(job.input.port);
    case 'closedLoop':
      return runClosedLoop(job.input);
    case 'openLoop':
      return runOpenLoop(job.input);
    case 'streams':
      return runStreams(job.input);
    case 'holdStreams':
      await held.open(job.input.port, job.input.count);
      return null;
    case 'releaseStreams':
      held.release();
      return null;
  }
}

function reply(message: JobReply): void {
  process.send?.(message);
}

process.on('message', (job: JobMessage) => {
  const sleepAgain = stayAwake();
  run(job)
    .finally(sleepAgain)
    .then(
      (result) => reply({ ok: true, result }),
      (error: unknown) => reply({ ok: false, fault: error instanceof Error ? error.message : String(error) }),
    );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: await serveUpstream() });

import cluster, { type Worker } from 'node:cluster';
import type { Logger } from 'pino';
import type { Channel } from '../base/channel.ts';
import { type Order, onOrder } from './orders.ts';
import { channelTo } from './worker-channel.ts';

/** A worker that died is replaced after this long, so that one that dies at birth doesn't spin. */
const REPLACE_DELAY_MS = 1_000;

/** True in a process that serves on behalf of another. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/**
 * Serves with several processes on one port; each is a whole gateway. Passes orders on, and replaces workers that die.
 * @param onWorker is given the way to each worker, before that one hears or says anything
 * @returns the exit code once all have ended: the highest of theirs
 */
export function superviseWorkers(
  count: number,
  logger: Logger,
  onWorker: (channel: Channel) => void = () => {},
): Promise<number> {
  return new Promise((resolve) => {
    const workers = new Set<Worker>();
    let listening = 0;
    let code = 0;
    let stopping = false;

    function fork(): void {
      const worker = cluster.fork();
      onWorker(channelTo(worker));
      let served = false;
      workers.add(worker);
      worker.on('listening', ({ address, port }) => {
        served = true;
        listening++;
        if (listening === count) logger.info(`${count} workers RUNNING on ${address}:${port}`);
      });
      worker.on('exit', (exitCode, signal) => {
        workers.delete(worker);
        if (stopping) code = Math.max(code, exitCode ?? 1);
        else if (served || listening >= count) {
          logger.error(
            { worker: worker.process.pid, exitCode, signal },
            // Behind the start it is the file that has changed since, and the others serve by the old one.
            served ? 'a worker died; another takes its place' : 'a worker could not start; another is tried',
          );
          // Not unreferenced: it may be all that keeps the supervisor alive.
          setTimeout(() => !stopping && fork(), REPLACE_DELAY_MS);
        } else {
          // It could not even begin (a port that is taken), and has said why; no other would fare better.
          code = exitCode || 1;
          stopping = true;
          tell('stop');
        }
        if (stopping && workers.size === 0) resolve(code);
      });
    }

    function tell(order: Order): void {
      for (const worker of workers) if (worker.isConnected()) worker.send(order);
    }

    onOrder('stop', () => {
      stopping = true;
      tell('stop');
    });
    onOrder('reload', () => tell('reload'));
    for (let i = 0; i < count; i++) fork();
  });
}

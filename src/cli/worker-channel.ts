import cluster, { type Worker } from 'node:cluster';
import type { Channel } from '../base/channel.ts';

/** Tells what goes through a channel from orders, and from what Node says to its own. */
interface Envelope {
  readonly carried: unknown;
}

/** What a worker said last may be read later than its end is heard of. */
const LAST_WORDS_MS = 100;

/** A supervisor's channel to a worker. */
export function channelTo(worker: Worker): Channel {
  let isClosed = false;
  let closed = (): void => {};
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    closed();
  };
  worker.once('disconnect', close);
  // A worker that dies while a connection is handed to it is never told to be disconnected.
  worker.once('exit', () => setTimeout(close, LAST_WORDS_MS));
  return {
    send(message) {
      // What fails is told by the callback, and by the end.
      if (worker.isConnected()) worker.process.send?.(enveloped(message), undefined, undefined, ignore);
    },
    listen(listener) {
      const hear = opening(listener);
      worker.on('message', (message) => !isClosed && hear(message));
    },
    onClose(listener) {
      closed = listener;
    },
  };
}

/** A worker's channel to its supervisor; null in a process that has none. */
export function channelToSupervisor(): Channel | null {
  if (!cluster.isWorker) return null;
  return {
    send(message) {
      if (process.connected) process.send?.(enveloped(message), undefined, undefined, ignore);
    },
    listen: (listener) => void process.on('message', opening(listener)),
    onClose: (listener) => void process.once('disconnect', listener),
  };
}

function enveloped(carried: unknown): Envelope {
  return { carried };
}

function opening(listener: (message: unknown) => void): (message: unknown) => void {
  return (message) => {
    if (typeof message === 'object' && message !== null && 'carried' in message) listener(message.carried);
  };
}

function ignore(): void {}

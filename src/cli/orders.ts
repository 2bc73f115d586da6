import cluster from 'node:cluster';

/** What a running gateway may be told: to stop, or to read its configuration again. */
export type Order = 'stop' | 'reload';

const SIGNALS: Readonly<Record<Order, readonly NodeJS.Signals[]>> = {
  stop: ['SIGTERM', 'SIGINT'],
  reload: ['SIGHUP'],
};

/**
 * Calls back at each order. A process of its own hears signals. A worker hears its supervisor alone: a signal to the
 * process group (Ctrl-C, systemd's default) reaches it as well, and would count as a second order.
 */
export function onOrder(order: Order, listener: () => void): void {
  for (const signal of SIGNALS[order]) process.on(signal, cluster.isWorker ? () => {} : listener);
  if (!cluster.isWorker) return;
  process.on('message', (message) => {
    if (message === order) listener();
  });
}

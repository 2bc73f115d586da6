/**
 * The load's event loop never sleeps while a job runs. A process asleep must be woken by whoever sends to it, and in
 * a virtual machine that costs the sender about 5 µs, twice a request: a slow proxy, whose load has time to sleep,
 * would pay for it, and a fast one, whose load is always awake, would not.
 */
const callbacks = new Set<() => void>();

/** Calls back on every turn of the event loop, some microseconds apart, until the returned function is called. */
export function onEachTurn(callback: () => void): () => void {
  if (callbacks.size === 0) setImmediate(turn);
  callbacks.add(callback);
  return () => callbacks.delete(callback);
}

function turn(): void {
  for (const callback of callbacks) callback();
  if (callbacks.size > 0) setImmediate(turn);
}

/** Keeps the event loop awake until the returned function is called. */
export function stayAwake(): () => void {
  return onEachTurn(() => {});
}

/**
 * Waits for `work`, but no longer than its caller does; the work goes on.
 * @throws the reason of `signal` when that aborts first
 */
export async function unlessLeft<T>(work: Promise<T>, signal: AbortSignal | null): Promise<T> {
  if (signal === null) return work;
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave);
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    signal.removeEventListener('abort', leave);
    work.catch(() => {});
    left.promise.catch(() => {});
  }
}

const LOOPBACK = /^(?:localhost|127\.[0-9.]+|::1|\[::1\])$/;

/** True for an address to listen on that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

import type { LookupAddress, LookupOptions } from 'node:dns';
import { lookup as systemLookup } from 'node:dns';
import { type LookupFunction, Socket } from 'node:net';
import { isForbiddenAddress, isForbiddenHost } from './address-guard.ts';

/** The error by which a socket fails instead of connecting to an address that `isForbiddenAddress` knows. */
export class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress';
  readonly code = 'ERR_FORBIDDEN_ADDRESS';

  constructor(hostname: string) {
    super(`${hostname} is, or resolves to, a link-local, metadata, unspecified or multicast address`);
  }
}

/**
 * A `lookup` for `net.connect` that hands on none but allowed addresses. The name is resolved once, and the socket
 * connects to what was checked: a second answer of a name server that changes its mind is never asked for.
 */
export function guardedLookup(lookup: LookupFunction = systemLookup as LookupFunction): LookupFunction {
  return (hostname, options: LookupOptions, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found, family) => {
      if (error !== null) {
        callback(error, '');
        return;
      }
      const addresses: readonly LookupAddress[] =
        typeof found === 'string' ? [{ address: found, family: family ?? 0 }] : found;
      const allowed = addresses.filter(({ address }) => !isForbiddenAddress(address));
      const [first] = allowed;
      if (first === undefined) callback(new ForbiddenAddress(hostname), '');
      else if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

/**
 * A socket that fails with `ForbiddenAddress` in place of one that would connect, where the host is refused as it
 * stands: an IP address is never looked up. Null where the host may be looked up.
 */
export function refusedSocket(hostname: string): Socket | null {
  return isForbiddenHost(hostname) ? new Socket().destroy(new ForbiddenAddress(hostname)) : null;
}

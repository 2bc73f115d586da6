import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';

/**
 * Where nobody but an operator with a shell may send requests: addresses that answer whoever asks from this machine,
 * and hand out its cloud credentials. Loopback and private networks are allowed, since models are served there.
 */
const FORBIDDEN_IPV4: readonly Subnet[] = [
  ['169.254.0.0', 16], // link-local (RFC 3927): the metadata service of AWS, Azure, Google, and most others
  ['0.0.0.0', 8], // "this host" (RFC 1122 §3.2.1.3): no destination, though kernels take it for loopback
  ['100.100.100.200', 32], // Alibaba Cloud's metadata
  ['168.63.129.16', 32], // Azure's wire server, which hands out an instance's certificates
  ['192.0.0.192', 32], // Oracle Cloud's metadata on older shapes
  ['224.0.0.0', 4], // multicast (RFC 5771)
  ['255.255.255.255', 32], // broadcast (RFC 919)
];

const FORBIDDEN_IPV6: readonly Subnet[] = [
  ['fe80::', 10], // link-local (RFC 4291 §2.5.6)
  ['ff00::', 8], // multicast
  ['::', 128], // unspecified; kernels take it for loopback
  ['fd00:ec2::', 32], // AWS: metadata ::254, container credentials ::23
  ['fd20:ce::254', 128], // Google Cloud's metadata
  ['fd00:c1::a9fe:a9fe', 128], // Oracle Cloud's metadata
  ['fd00:42::42', 128], // Scaleway's metadata
  ['64:ff9b:1::', 48], // NAT64 with a network's own layout (RFC 8215): nobody can tell which address it means
  ['2001::', 32], // Teredo (RFC 4380): an obfuscated IPv4 address, and no server of today
];

type Subnet = readonly [address: string, prefix: number];

/**
 * IPv6 addresses that mean an IPv4 one: what stands before its 32 bits, which begin at bit `at`. IPv4-mapped ones
 * (`::ffff:0:0/96`) are not listed because `BlockList` knows them itself.
 */
const EMBEDDINGS: readonly { readonly before: string; readonly at: number }[] = [
  { before: '::', at: 96 }, // IPv4-compatible (RFC 4291 §2.5.5.1)
  { before: '::ffff:0:', at: 96 }, // IPv4-translated (RFC 2765 §2.1)
  { before: '64:ff9b::', at: 96 }, // NAT64 (RFC 6052 §2.1)
  { before: '2002:', at: 16 }, // 6to4 (RFC 3056 §2)
];

const FORBIDDEN = forbiddenAddresses();

/** Names of metadata services; what else a name stands for shows when it is resolved. */
const FORBIDDEN_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.goog',
  'metadata.google.internal',
  'metadata.tencentyun.com',
  'instance-data',
  'instance-data.ec2.internal',
]);

/**
 * True for an address that a target given through the API may not have: link-local, cloud metadata, unspecified,
 * multicast, broadcast, in every spelling of IPv6 that means one of them. What is no IP address is forbidden too.
 */
export function isForbiddenAddress(address: string): boolean {
  const version = isIP(address);
  return version === 0 || FORBIDDEN.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

const URL_DELIMITER = /[/\\?#@:]/;

/**
 * True for a host name or IP literal that is refused as it stands, before anything is resolved: forbidden addresses
 * however they are written (`[::ffff:a9fe:a9fe]`, `0xa9fea9fe`, `169.254.43518`), names of metadata services in any
 * case and with the root's dot, and what is no host at all. A name that passes may still resolve to a forbidden one.
 */
export function isForbiddenHost(hostname: string): boolean {
  const bare = hostname.replace(/^\[(.*)\]$/s, '$1');
  if (isIP(bare) !== 0) return isForbiddenAddress(bare);
  // The host parser of WHATWG URL, which `new URL` applies as well: numbers become addresses, letters lower case.
  const host = domainToASCII(hostname).replace(/\.+$/, '');
  if (host === '' || URL_DELIMITER.test(hostname)) return true;
  return isIP(host) === 0 ? FORBIDDEN_NAMES.has(host) : isForbiddenAddress(host);
}

function forbiddenAddresses(): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of FORBIDDEN_IPV4) {
    list.addSubnet(address, prefix, 'ipv4');
    for (const { before, at } of EMBEDDINGS) {
      // IPv4-compatible 0.0.0.0/8 would take ::1 along, which is loopback.
      if (before === '::' && address === '0.0.0.0') continue;
      const embedded = `${before}${hexHalves(address)}${at === 96 ? '' : '::'}`;
      list.addSubnet(embedded, at + prefix, 'ipv6');
    }
  }
  for (const [address, prefix] of FORBIDDEN_IPV6) list.addSubnet(address, prefix, 'ipv6');
  return list;
}

/** `169.254.0.0` as `a9fe:0`. */
function hexHalves(address: string): string {
  const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number];
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isForbiddenAddress, isForbiddenHost } from '../../src/upstream/address-guard.ts';

const FORBIDDEN: readonly (readonly [address: string, why: string])[] = [
  ['169.254.169.254', 'metadata of AWS, Azure, Google and others'],
  ['169.254.170.2', 'credentials of an ECS task'],
  ['169.254.0.0', 'first link-local address'],
  ['169.254.255.255', 'last link-local address'],
  ['100.100.100.200', 'Alibaba Cloud'],
  ['168.63.129.16', 'Azure wire server'],
  ['192.0.0.192', 'Oracle Cloud'],
  ['0.0.0.0', 'taken for loopback by kernels'],
  ['0.1.2.3', 'this network'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'last multicast address'],
  ['255.255.255.255', 'broadcast'],
  ['fe80::1', 'link-local'],
  ['FE80::A9FE:A9FE', 'OpenStack metadata, upper case'],
  ['febf:ffff::1', 'last link-local block'],
  ['fe80::1%eth0', 'link-local with a zone'],
  ['ff02::1', 'multicast'],
  ['::', 'unspecified'],
  ['0:0:0:0:0:0:0:0', 'unspecified, written out'],
  ['fd00:ec2::254', 'AWS metadata'],
  ['fd00:0ec2:0:0:0:0:0:0254', 'AWS metadata, written out'],
  ['fd00:ec2::23', 'AWS container credentials'],
  ['fd20:ce::254', 'Google Cloud'],
  ['fd00:c1::a9fe:a9fe', 'Oracle Cloud'],
  ['fd00:42::42', 'Scaleway'],
  ['::ffff:169.254.169.254', 'IPv4-mapped, dotted'],
  ['::ffff:a9fe:a9fe', 'IPv4-mapped, hexadecimal'],
  ['0:0:0:0:0:ffff:a9fe:a9fe', 'IPv4-mapped, written out'],
  ['::ffff:0.0.0.0', 'IPv4-mapped unspecified'],
  ['::ffff:100.100.100.200', 'IPv4-mapped Alibaba'],
  ['::169.254.169.254', 'IPv4-compatible'],
  ['::ffff:0:169.254.169.254', 'IPv4-translated'],
  ['64:ff9b::169.254.169.254', 'NAT64'],
  ['64:ff9b::a83f:8110', 'NAT64 of Azure wire server'],
  ['64:ff9b:1::a9fe:a9fe', 'NAT64 with a local layout'],
  ['64:ff9b:1:a9fe:a9:fe00::', 'NAT64 with a local layout, RFC 6052 /48'],
  ['2002:a9fe:a9fe::1', '6to4'],
  ['2002:6464:64c8:1:2:3:4:5', '6to4 of Alibaba'],
  ['2001:0:a9fe:a9fe::1', 'Teredo'],
  ['example.com', 'no address'],
  ['', 'nothing'],
  ['169.254.169', 'an address cut short'],
  ['[::1]', 'brackets belong to URLs'],
];

const ALLOWED: readonly string[] = [
  '127.0.0.1',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '100.100.100.201',
  '168.63.129.17',
  '169.253.255.255',
  '169.255.0.0',
  '192.0.0.193',
  '1.1.1.1',
  '223.255.255.255',
  '240.0.0.1',
  '255.255.255.254',
  '::1',
  '::2',
  'fc00::1',
  'fd00::1',
  'fd00:ec3::254',
  'fe7f::1',
  'fec0::1',
  '2001:db8::1',
  '2606:4700:4700::1111',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::127.0.0.1',
  '64:ff9b::1.1.1.1',
  '2002:0101:0101::1',
];

describe('an address of a target given through the API', () => {
  for (const [address, why] of FORBIDDEN) {
    test(`is refused: ${JSON.stringify(address)} (${why})`, () => {
      expect(isForbiddenAddress(address)).toBe(true);
    });
  }

  for (const address of ALLOWED) {
    test(`is allowed: ${address}`, () => {
      expect(isForbiddenAddress(address)).toBe(false);
    });
  }

  test('is judged alike in IPv4 and in every IPv6 spelling of it', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const anywhere = fc.tuple(octet, octet, octet, octet);
    const linkLocal = fc.tuple(fc.constant(169), fc.constant(254), octet, octet);
    fc.assert(
      fc.property(fc.oneof(anywhere, linkLocal), ([a, b, c, d]) => {
        const ipv4 = `${a}.${b}.${c}.${d}`;
        const high = ((a << 8) | b).toString(16);
        const low = ((c << 8) | d).toString(16);
        const spellings = [
          `::ffff:${ipv4}`,
          `::ffff:0:${ipv4}`,
          `64:ff9b::${ipv4}`,
          `2002:${high}:${low}::5`,
        ];
        for (const spelling of spellings) {
          expect(isIP(spelling)).toBe(6);
          expect(isForbiddenAddress(spelling), spelling).toBe(isForbiddenAddress(ipv4));
        }
      }),
    );
  });
});

describe('a host of a target given through the API', () => {
  for (const host of [
    'metadata.google.internal',
    'Metadata.Google.Internal',
    'metadata.google.internal.',
    'metadata.google.internal..',
    'metadata。google。internal',
    'ｍetadata.google.internal',
    'metadata',
    'METADATA.',
    'metadata.goog',
    'metadata.tencentyun.com',
    'instance-data',
    'instance-data.ec2.internal',
    '169.254.169.254',
    '169.254.169.254.',
    '2852039166',
    '0xa9fea9fe',
    '0xA9.0xFE.0xA9.0xFE',
    '0251.0376.0251.0376',
    '169.254.43518',
    '１６９.254.169.254',
    '0',
    '[fe80::1]',
    'fe80::1',
    '[::ffff:a9fe:a9fe]',
    '[::ffff:169.254.169.254]',
    '[::]',
    '',
    '.',
    'a b',
    'a/b',
  ]) {
    test(`is refused: ${JSON.stringify(host)}`, () => {
      expect(isForbiddenHost(host)).toBe(true);
    });
  }

  for (const host of [
    'localhost',
    'api.cohere.com',
    'API.Cohere.com.',
    'metadata.example.com',
    'my-metadata',
    'vllm.default.svc.cluster.local',
    'with_underscore.internal',
    '10.0.0.7',
    '127.0.0.1',
    '[::1]',
    '::1',
    'bücher.example',
  ]) {
    test(`is allowed: ${JSON.stringify(host)}`, () => {
      expect(isForbiddenHost(host)).toBe(false);
    });
  }
});

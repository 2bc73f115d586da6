import { direct } from './direct.ts';
import { haproxy } from './haproxy.ts';
import { nginx } from './nginx.ts';
import { nodePipe } from './node-pipe.ts';
import type { Peer } from './peer.ts';
import { sluice, sluiceKey, sluiceRedis } from './sluice.ts';

/** In the order in which they are measured and printed. */
export const peers: readonly Peer[] = [direct, nginx, haproxy, nodePipe, sluice, sluiceKey, sluiceRedis];

export const defaultPeerNames: readonly string[] = ['direct', 'nginx', 'node-pipe', 'sluice'];

import type { Exchange } from '../exchange.ts';
import { REQUEST_BODIES } from './request-bodies.ts';
import { REQUEST_HEADS } from './request-heads.ts';
import { RESPONSE_BODIES } from './response-bodies.ts';
import { RESPONSE_HEADS } from './response-heads.ts';
import { TARGETS } from './targets.ts';

/** The exchanges with a scripted upstream, by what is odd about them. */
export const CORPUS: readonly (readonly [string, readonly Exchange[]])[] = [
  ['request targets', TARGETS],
  ['request headers', REQUEST_HEADS],
  ['request bodies', REQUEST_BODIES],
  ['response heads', RESPONSE_HEADS],
  ['response bodies', RESPONSE_BODIES],
];

import { download, upload, uploadJson } from './bodies.ts';
import type { Case } from './case.ts';
import { idleSse } from './idle-sse.ts';
import { latency500, latency1500 } from './latency.ts';
import { relay } from './relay.ts';
import { relayPaced } from './relay-paced.ts';
import { sse } from './sse.ts';

/** In the order in which they are run and printed. */
export const cases: readonly Case[] = [
  relay,
  relayPaced,
  sse,
  upload,
  uploadJson,
  download,
  latency1500,
  latency500,
  idleSse,
];

/** The case of that name, or all whose names begin with it: `latency` is both rates. */
export function casesNamed(name: string): readonly Case[] {
  const exact = cases.filter((one) => one.name === name);
  return exact.length > 0 ? exact : cases.filter((one) => one.name.startsWith(`${name}-`));
}

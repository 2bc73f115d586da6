import type { Timeouts } from './config.ts';
import { seconds } from './fields.ts';

/** Any of the three may be left out where a default follows. */
export type PartialTimeouts = { readonly [Name in keyof Timeouts]?: number | undefined };

const DEFAULT_TIMEOUTS: Timeouts = Object.freeze({
  connectTimeoutMs: 5_000,
  firstByteTimeoutMs: 600_000,
  idleTimeoutMs: 600_000,
});

/** The keys of the three, wherever they may stand. */
export const TIMEOUT_FIELDS = {
  timeout: seconds({
    description: 'Seconds from the end of a request to the first byte of its answer.',
    default: 600,
  }),
  stream_timeout: seconds({
    description: 'Seconds between two bytes of an answer; there is no limit to its length.',
    default: 600,
  }),
  connect_timeout: seconds({ description: 'Seconds to connect, TLS included.', default: 5 }),
};

interface TimeoutValues {
  readonly timeout?: number;
  readonly stream_timeout?: number;
  readonly connect_timeout?: number;
}

export function timeoutsFrom(values: TimeoutValues): PartialTimeouts {
  return {
    connectTimeoutMs: values.connect_timeout,
    firstByteTimeoutMs: values.timeout,
    idleTimeoutMs: values.stream_timeout,
  };
}

/** The first that is set of each; LiteLLM's defaults where none is. */
export function firstTimeouts(...preferred: readonly PartialTimeouts[]): Timeouts {
  const first = (name: keyof Timeouts): number =>
    preferred.map((one) => one[name]).find((value) => value !== undefined) ?? DEFAULT_TIMEOUTS[name];
  return {
    connectTimeoutMs: first('connectTimeoutMs'),
    firstByteTimeoutMs: first('firstByteTimeoutMs'),
    idleTimeoutMs: first('idleTimeoutMs'),
  };
}

import { badRequest } from '../errors.ts';

/**
 * Ways in which a response can go wrong on demand: header `x-sim-fault`, or `sim.fault(...)`.
 *
 *     fault  = kind "@" point / "slow:" ms / "status:" code / "close-before-head"
 *     kind   = "reset" / "fin" / "stall" / "garbage"
 *     point  = "head" / K / "wire:" N
 *
 * Several, separated by commas, act together (`slow:20,reset@100`). `head` is before the status line, `K` behind
 * K bytes of the response body (its framing not counted), `wire:N` behind N bytes of the whole response.
 */
export interface FaultPlan {
  /** What ends the response early, and where. */
  readonly breakage: Breakage | null;
  /** Milliseconds before each piece of the body; a body that isn't streamed is cut into pieces for it. */
  readonly slowMs: number;
  /** Answer with this status and an error body instead. */
  readonly status: number | null;
}

export interface Breakage {
  /**
   * `reset`: TCP RST. `fin`: a clean FIN too early. `stall`: silence until the client leaves. `garbage`: bytes
   * that are no HTTP, then FIN; behind K body bytes the response is chunked, so that they stand for a chunk size.
   */
  readonly kind: 'reset' | 'fin' | 'stall' | 'garbage';
  readonly point: BreakPoint;
}

type BreakPoint =
  | { readonly at: 'head' }
  | { readonly at: 'body'; readonly bytes: number }
  | { readonly at: 'wire'; readonly bytes: number };

export const NO_FAULT: FaultPlan = { breakage: null, slowMs: 0, status: null };

/** @throws ApiError naming the part that is not a fault: a typing error in a test must not pass as "no fault". */
export function parseFault(text: string): FaultPlan {
  const parts = text.split(',').map((part) => parsePart(part.trim()));
  return Object.assign({ ...NO_FAULT }, ...parts);
}

function parsePart(part: string): Partial<FaultPlan> {
  if (part === 'close-before-head') return { breakage: { kind: 'fin', point: { at: 'head' } } };
  const slow = /^slow:(\d+)$/.exec(part);
  if (slow !== null) return { slowMs: Number(slow[1]) };
  const status = /^status:([2-5]\d\d)$/.exec(part);
  if (status !== null) return { status: Number(status[1]) };
  const breakage = /^(reset|fin|stall|garbage)@(?:(head)|(wire:)?(\d+))$/.exec(part);
  if (breakage === null) throw badRequest(`x-sim-fault: not a fault: ${JSON.stringify(part)}`);
  const [, kind, head, wire, bytes] = breakage;
  return {
    breakage: {
      kind: kind as Breakage['kind'],
      point: head !== undefined ? { at: 'head' } : { at: wire ? 'wire' : 'body', bytes: Number(bytes) },
    },
  };
}

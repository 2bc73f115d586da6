import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { Gone } from '../http/reply.ts';
import type { Token } from '../text/tokens.ts';
import type { Gate } from './gate.ts';

export type FinishReason = 'stop' | 'length' | 'abort';

/** One generation that the engine works on; ends by itself, by its client's leaving, or aborted by an operator. */
export class Run {
  readonly id: string;
  finishReason: FinishReason = 'stop';
  readonly #gate: Gate;
  readonly #gone: AbortSignal;
  readonly #aborted = new AbortController();
  /** Either: nothing more is to be generated. */
  readonly #stop: AbortSignal;

  constructor(id: string, gate: Gate, gone: AbortSignal) {
    this.id = id;
    this.#gate = gate;
    this.#gone = gone;
    this.#stop = AbortSignal.any([gone, this.#aborted.signal]);
  }

  /** What the operator's /abort_requests and /pause do: the client gets what there is, and `abort` as the reason. */
  abort(): void {
    this.finishReason = 'abort';
    this.#aborted.abort();
  }

  /**
   * The tokens, `intervalMs` apart, the first one at once. Ends early when aborted.
   *
   * @throws Gone when the client has left: the generation stops there.
   */
  async *pace(tokens: readonly Token[], intervalMs: number): AsyncGenerator<Token> {
    for (const [index, token] of tokens.entries()) {
      if (index > 0) await this.#pause(intervalMs);
      await this.#gate.pass(this.#stop);
      if (this.#gone.aborted) throw new Gone();
      if (this.#aborted.signal.aborted) return;
      yield token;
    }
  }

  async #pause(intervalMs: number): Promise<void> {
    // Without an interval, still a turn of the loop each: two tokens in one write would be one chunk.
    if (intervalMs === 0) return nextTurn();
    await delay(intervalMs, undefined, { signal: this.#stop }).catch(() => {});
  }
}

import type { Channel } from '../base/channel.ts';
import { SluiceError } from '../base/errors.ts';
import type { StoredKey } from '../store/key-store.ts';
import { isUnlimited, type LimitedKey } from './limit-answers.ts';
import type { Grant, Limiter, Used } from './limiter.ts';
import { type LimiterClock, SYSTEM_LIMITER_CLOCK } from './limiter-clock.ts';
import type { Answer, Answers, Batch, Step } from './shared-limiter-messages.ts';
import { SpendingGrant } from './spending-grant.ts';

export interface SharedLimiterOptions {
  /** To a process that does `serveLimiter`. */
  readonly channel: Channel;
  readonly clock?: LimiterClock;
}

/** Without an answer for so long nothing passes: nobody knows whether it may. */
const ANSWER_DEADLINE_MS = 2_000;
const DEADLINE_SWEEP_MS = 500;
/** What keys without limits spend waits this long for company. */
const SPEND_DELAY_MS = 100;
const CLOSE_DEADLINE_MS = 2_000;

/**
 * A limiter that asks another process, so that limits hold for several processes together. One message carries all
 * that happened in a turn of the event loop; keys without limits need no answer. What nobody answers is refused
 * (`unavailable`), never let through.
 */
export function createSharedLimiter(options: SharedLimiterOptions): Limiter {
  return new SharedLimiter(options);
}

interface Waiting {
  readonly resolve: (grant: Grant) => void;
  readonly reject: (error: SluiceError) => void;
  readonly until: number;
}

class SharedLimiter implements Limiter {
  readonly #channel: Channel;
  readonly #clock: LimiterClock;
  /** By number, in the order of their deadlines. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #receipts = new Map<number, () => void>();
  #lastNumber = 0;
  #keys = new Map<StoredKey, number>();
  #steps: Step[] = [];
  #isScheduled = false;
  /** Of keys without limits: USD by id. */
  #spent = new Map<string, number>();
  #isSweeping = false;
  #isClosed = false;
  #isAlone = false;

  constructor({ channel, clock = SYSTEM_LIMITER_CLOCK }: SharedLimiterOptions) {
    this.#channel = channel;
    this.#clock = clock;
    channel.listen((message) => this.#hear(message as Answers));
    channel.onClose(() => {
      this.#isAlone = true;
      for (const { reject } of this.#waiting.values()) reject(unanswered());
      this.#waiting.clear();
      for (const resolve of this.#receipts.values()) resolve();
    });
  }

  take(key: StoredKey): Grant | Promise<Grant> {
    if (isUnlimited(key)) return new SpendingGrant(key.id, this);
    if (this.#isAlone || this.#isClosed) throw unanswered();
    const number = ++this.#lastNumber;
    let keyAt = this.#keys.get(key);
    if (keyAt === undefined) {
      keyAt = this.#keys.size;
      this.#keys.set(key, keyAt);
    }
    this.#step(['take', number, keyAt]);
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject, until: this.#clock.now() + ANSWER_DEADLINE_MS });
      this.#sweepLater();
    });
  }

  /** What a key without limits has spent. */
  add(id: string, usd: number): void {
    if (!(usd > 0)) return;
    if (this.#spent.size === 0) this.#clock.after(SPEND_DELAY_MS, () => this.#send(null));
    this.#spent.set(id, (this.#spent.get(id) ?? 0) + usd);
  }

  /** Sends the rest, and waits until it is counted; what is still under way is settled as it ends. */
  async close(): Promise<void> {
    if (this.#isClosed || this.#isAlone) return;
    this.#isClosed = true;
    const receipt = ++this.#lastNumber;
    await new Promise<void>((resolve) => {
      const takeBack = this.#clock.after(CLOSE_DEADLINE_MS, resolve);
      this.#receipts.set(receipt, () => {
        takeBack();
        resolve();
      });
      this.#send(receipt);
    });
  }

  settle(number: number, { tokens, costUsd }: Used): void {
    this.#step(['settle', number, tokens, costUsd]);
  }

  #step(step: Step): void {
    this.#steps.push(step);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#send(null);
    });
  }

  #send(receipt: number | null): void {
    for (const [id, usd] of this.#spent) this.#steps.push(['spend', id, usd]);
    if (this.#steps.length === 0 && receipt === null) return;
    const keys = Array.from(this.#keys.keys(), limitedKeyFrom);
    const batch: Batch = { keys, steps: this.#steps, receipt };
    this.#steps = [];
    this.#keys = new Map();
    this.#spent = new Map();
    this.#channel.send(batch);
  }

  #hear({ answers, receipt }: Answers): void {
    for (const answer of answers) this.#answer(answer);
    if (receipt === null) return;
    this.#receipts.get(receipt)?.();
    this.#receipts.delete(receipt);
  }

  #answer(answer: Answer): void {
    const [, number] = answer;
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (answer[0] === 'granted') {
      const [, , counts, headers] = answer;
      const grant = new SharedGrant(this, number, counts, headers);
      // It was refused here for want of an answer.
      if (waiting === undefined) grant.settle({ tokens: null, costUsd: 0 });
      else waiting.resolve(grant);
    } else {
      const [, , reason, message, headers] = answer;
      waiting?.reject(new SluiceError(reason, message, { headers }));
    }
  }

  #sweepLater(): void {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    this.#clock.after(DEADLINE_SWEEP_MS, () => {
      this.#isSweeping = false;
      const now = this.#clock.now();
      for (const [number, { reject, until }] of this.#waiting) {
        if (until > now) break;
        this.#waiting.delete(number);
        reject(unanswered());
      }
      if (this.#waiting.size > 0) this.#sweepLater();
    });
  }
}

class SharedGrant implements Grant {
  readonly headers: readonly string[];
  readonly counts: boolean;
  readonly #limiter: SharedLimiter;
  readonly #number: number;
  #isSettled = false;

  constructor(limiter: SharedLimiter, number: number, counts: boolean, headers: readonly string[]) {
    this.#limiter = limiter;
    this.#number = number;
    this.counts = counts;
    this.headers = headers;
  }

  settle(used: Used): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#limiter.settle(this.#number, used);
  }
}

/** The key without what is nobody's business there. */
function limitedKeyFrom(key: StoredKey): LimitedKey {
  const { id, rpmLimit, tpmLimit, maxParallelRequests, maxBudget, budget, spend, updatedAt } = key;
  return { id, rpmLimit, tpmLimit, maxParallelRequests, maxBudget, budget, spend, updatedAt };
}

function unanswered(): SluiceError {
  return new SluiceError('unavailable', 'What this key has used is not known just now; try again.');
}

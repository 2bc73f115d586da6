import { type FaultPlan, NO_FAULT, parseFault } from './http/faults.ts';
import type { RecordedRequest } from './http/record.ts';
import type { RequestMatch } from './http/request-log.ts';

export interface FaultRule {
  /** In the language of `x-sim-fault`: `reset@100`. */
  readonly fault: string;
  /** Default: every request. */
  readonly match?: RequestMatch;
  /** For how many requests, default without end. */
  readonly times?: number;
}

/** The faults that a test has ordered without a header, in the order in which it did. */
export class FaultBook {
  readonly #rules = new Set<{ readonly plan: FaultPlan; readonly match: RequestMatch; left: number }>();

  /** @returns takes the rule back. */
  add(rule: FaultRule): () => void {
    const entry = {
      plan: parseFault(rule.fault),
      match: rule.match ?? (() => true),
      left: rule.times ?? Number.POSITIVE_INFINITY,
    };
    this.#rules.add(entry);
    return () => this.#rules.delete(entry);
  }

  /** What is to go wrong with this request: its own header, else the first rule for it. */
  planFor(request: RecordedRequest): FaultPlan {
    const header = request.header('x-sim-fault');
    if (header !== undefined) return parseFault(header);
    for (const rule of this.#rules) {
      const hit = typeof rule.match === 'string' ? request.path === rule.match : rule.match(request);
      if (!hit) continue;
      rule.left -= 1;
      if (rule.left <= 0) this.#rules.delete(rule);
      return rule.plan;
    }
    return NO_FAULT;
  }
}

import type { Channel } from '../base/channel.ts';
import { sluiceErrorFrom } from '../base/errors.ts';
import type { LimitedKey } from './limit-answers.ts';
import type { Grant } from './limiter.ts';
import type { MemoryLimiter } from './memory-limiter.ts';
import type { Answer, Answers, Batch } from './shared-limiter-messages.ts';

const NOTHING_USED = { tokens: null, costUsd: 0 };

/**
 * Counts for another process, which has a limiter of `createSharedLimiter` at the other end of the channel. When the
 * channel closes, what that process still held is given back.
 */
export function serveLimiter(limiter: MemoryLimiter, channel: Channel): void {
  const held = new Map<number, Grant>();

  function take(number: number, key: LimitedKey): Answer {
    try {
      const grant = limiter.take(key);
      held.set(number, grant);
      return ['granted', number, grant.counts, grant.headers];
    } catch (thrown) {
      const { reason, message, headers } = sluiceErrorFrom(thrown);
      return ['refused', number, reason, message, headers];
    }
  }

  channel.listen((received) => {
    const { keys, steps, receipt } = received as Batch;
    const answers: Answer[] = [];
    for (const step of steps) {
      switch (step[0]) {
        case 'take':
          answers.push(take(step[1], keys[step[2]] as LimitedKey));
          break;
        case 'settle':
          held.get(step[1])?.settle({ tokens: step[2], costUsd: step[3] });
          held.delete(step[1]);
          break;
        case 'spend':
          limiter.spend({ id: step[1], usd: step[2] });
          break;
      }
    }
    if (answers.length > 0 || receipt !== null) channel.send({ answers, receipt } satisfies Answers);
  });
  channel.onClose(() => {
    for (const grant of held.values()) grant.settle(NOTHING_USED);
    held.clear();
  });
}

import type { Channel } from '../../src/base/channel.ts';

export interface ChannelPair {
  readonly ends: readonly [Channel, Channel];
  /** Every message that went through, from whichever end. */
  readonly messages: readonly unknown[];
  /** While it is held nothing arrives. */
  hold(): void;
  release(): void;
  /** What is on its way arrives still. */
  close(): void;
}

/** Two ends of a channel in one process: what is sent arrives later, in order, as JSON makes it. */
export function channelPair(): ChannelPair {
  const messages: unknown[] = [];
  const listeners: ((message: unknown) => void)[] = [() => {}, () => {}];
  const closers: (() => void)[] = [];
  let queue: (() => void)[] = [];
  let isHeld = false;
  let isClosed = false;
  const deliver = () => {
    if (isHeld) return;
    const due = queue;
    queue = [];
    for (const run of due) run();
  };
  const later = (run: () => void) => {
    queue.push(run);
    setImmediate(deliver);
  };
  const end = (own: 0 | 1): Channel => ({
    send(message) {
      if (isClosed) return;
      messages.push(message);
      const text = JSON.stringify(message);
      later(() => listeners[1 - own]?.(JSON.parse(text)));
    },
    listen(listener) {
      listeners[own] = listener;
    },
    onClose: (listener) => void closers.push(listener),
  });
  return {
    ends: [end(0), end(1)],
    messages,
    hold() {
      isHeld = true;
    },
    release() {
      isHeld = false;
      deliver();
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      later(() => {
        for (const closed of closers) closed();
      });
    },
  };
}

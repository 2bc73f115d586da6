import { describe, expect, test } from 'vitest';
import type { Clock } from '../../../src/models/clock.ts';
import { type Run, supervise } from '../../../src/models/supervisor/supervise.ts';
import { Watch } from '../../helpers/watch.ts';

const POLICY = { firstDelayMs: 1_000, maxDelayMs: 8_000, maxRestarts: 5, stableMs: 60_000 };

/** Time that only the test moves. */
class Time implements Clock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timers(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#now) continue;
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}

/** Something to supervise: each launch is answered by the test. */
function fixture() {
  const time = new Time();
  const watch = new Watch();
  const told: string[] = [];
  const tell = (text: string) => {
    told.push(text);
    watch.changed();
  };
  const launches: { readonly signal: AbortSignal; serve(): FakeRun; fail(why: string): void }[] = [];
  const options = {
    clock: time,
    policy: POLICY,
    launch(signal: AbortSignal) {
      const { promise, resolve, reject } = Promise.withResolvers<Run<number>>();
      const number = launches.length + 1;
      signal.addEventListener('abort', () => reject(new Error('aborted')));
      launches.push({
        signal,
        serve: () => {
          const run = fakeRun(number, tell);
          resolve(run);
          return run;
        },
        fail: (why) => reject(new Error(why)),
      });
      watch.changed();
      return promise;
    },
    events: {
      lost: (reason: string) => tell(`lost: ${reason}`),
      waiting: (delayMs: number) => tell(`waiting ${delayMs}`),
      recovered: (value: number) => tell(`recovered: ${value}`),
      failed: (reason: string) => tell(`failed: ${reason}`),
    },
  };
  return {
    time,
    told,
    launches,
    start: (signal = new AbortController().signal) => supervise(options, signal),
    heard: (text: string) => watch.until(() => told.includes(text)),
    async launch(number: number) {
      await watch.until(() => launches.length >= number);
      const launch = launches[number - 1];
      if (launch === undefined) throw new Error('unreachable');
      return launch;
    },
  };
}

interface FakeRun extends Run<number> {
  end(reason: string): void;
}

function fakeRun(value: number, tell: (text: string) => void): FakeRun {
  const { promise, resolve } = Promise.withResolvers<string>();
  return {
    value,
    ended: promise,
    end: resolve,
    async stop() {
      tell(`stopped: ${value}`);
    },
  };
}

describe('supervision', () => {
  test('does not repeat a first launch that fails', async () => {
    const { start, launch, launches, told } = fixture();
    const supervised = start();
    (await launch(1)).fail('no memory');
    await expect(supervised).rejects.toThrow('no memory');
    expect([launches.length, told]).toEqual([1, []]);
  });

  test('starts again what ended, after a second', async () => {
    const { start, launch, launches, told, time, heard } = fixture();
    const supervised = start();
    const first = (await launch(1)).serve();
    expect((await supervised).value).toBe(1);
    first.end('killed');
    await heard('waiting 1000');
    time.advance(999);
    expect(launches).toHaveLength(1);
    time.advance(1);
    (await launch(2)).serve();
    await heard('recovered: 2');
    expect(told).toEqual(['lost: killed', 'waiting 1000', 'recovered: 2']);
  });

  test('waits twice as long each time, up to a maximum, and gives up after so many in a row', async () => {
    const { start, launch, launches, told, time, heard } = fixture();
    const supervised = start();
    (await launch(1)).serve().end('killed');
    await supervised;
    for (const [index, delayMs] of [1_000, 2_000, 4_000, 8_000, 8_000].entries()) {
      await heard(`waiting ${delayMs}`);
      // Two waits are equally long: the timer tells that the second has begun.
      while (time.timers === 0) await Promise.resolve();
      time.advance(delayMs);
      (await launch(index + 2)).fail(`broken ${index}`);
    }
    await heard('failed: given up after 5 restarts in a row: broken 4');
    expect(launches).toHaveLength(6);
    expect(told.filter((text) => text.startsWith('waiting'))).toHaveLength(5);
    await (await supervised).stop();
  });

  test('counts runs that end soon as a row, and forgets it once one has held', async () => {
    const { start, launch, told, time, heard } = fixture();
    const supervised = start();
    (await launch(1)).serve().end('killed');
    await supervised;
    await heard('waiting 1000');
    time.advance(1_000);
    const second = (await launch(2)).serve();
    await heard('recovered: 2');
    time.advance(59_999);
    second.end('killed again');
    await heard('waiting 2000');
    time.advance(2_000);
    const third = (await launch(3)).serve();
    await heard('recovered: 3');
    time.advance(60_000);
    told.length = 0;
    third.end('killed');
    await heard('waiting 1000');
  });

  test('ends the run when it is stopped, and tells nothing of it', async () => {
    const { start, launch, told } = fixture();
    const supervised = start();
    const run = (await launch(1)).serve();
    const { stop } = await supervised;
    await Promise.all([stop(), stop()]);
    run.end('by itself');
    await stop();
    expect(told).toEqual(['stopped: 1']);
  });

  test('can be stopped while it waits to start again', async () => {
    const { start, launch, launches, told, time, heard } = fixture();
    const supervised = start();
    (await launch(1)).serve().end('killed');
    const { stop } = await supervised;
    await heard('waiting 1000');
    await stop();
    expect([time.timers, launches.length]).toEqual([0, 1]);
    expect(told).toEqual(['lost: killed', 'waiting 1000']);
  });

  test('can be stopped while it is starting again: that start is aborted', async () => {
    const { start, launch, told, time, heard } = fixture();
    const supervised = start();
    (await launch(1)).serve().end('killed');
    const { stop } = await supervised;
    await heard('waiting 1000');
    time.advance(1_000);
    const { signal } = await launch(2);
    await stop();
    expect(signal.aborted).toBe(true);
    expect(told).toEqual(['lost: killed', 'waiting 1000']);
  });

  test('hands the first launch the caller’s signal', async () => {
    const { start, launch } = fixture();
    const caller = new AbortController();
    const supervised = start(caller.signal);
    const { signal } = await launch(1);
    caller.abort();
    expect(signal.aborted).toBe(true);
    await expect(supervised).rejects.toThrow('aborted');
  });
});

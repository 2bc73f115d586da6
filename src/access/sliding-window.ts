/** What `rpm_limit` and `tpm_limit` look back on. */
export const WINDOW_MS = 60_000;

/**
 * What was counted in the last 60 s, out of two buckets: this one's count, and the share of the one before that the
 * window still covers, or nothing of it once its last count is 60 s old.
 *
 * A bucket begins with what comes first after a pause. So within 60 s of a first count nothing is forgotten, however
 * many compete; 60 s after the last one everything is; and in any shorter time `d`, wherever the boundary lies, no more
 * than the limit and `d`/60 s of it pass.
 *
 * Times are whole milliseconds that never step back. A weight is a count × 60,000: with whole numbers all of this is
 * exact, up to counts of 2^36.
 */
export class SlidingWindow {
  #startedAt = 0;
  #current = 0;
  #currentLastAt = 0;
  #previous = 0;
  #previousLastAt = 0;

  /** A window as it is kept elsewhere: of both buckets the count and when the last was counted. */
  static of(
    startedAt: number,
    [current, currentLastAt]: readonly [number, number],
    [previous, previousLastAt]: readonly [number, number],
  ): SlidingWindow {
    const window = new SlidingWindow();
    window.#startedAt = startedAt;
    window.#current = current;
    window.#currentLastAt = currentLastAt;
    window.#previous = previous;
    window.#previousLastAt = previousLastAt;
    return window;
  }

  /** What the window has, as a weight. */
  weight(now: number): number {
    this.#roll(now);
    return this.#previous * (this.#startedAt + WINDOW_MS - now) + this.#current * WINDOW_MS;
  }

  add(now: number, count: number): void {
    this.#roll(now);
    if (this.#current === 0 && this.#previous === 0) this.#startedAt = now;
    this.#current += count;
    this.#currentLastAt = now;
  }

  /** After how long the weight is down to `ceiling`, if nothing is added: 0: it is, Infinity: never. */
  waitMs(now: number, ceiling: number): number {
    if (this.weight(now) <= ceiling) return 0;
    if (ceiling < 0) return Number.POSITIVE_INFINITY;
    const endsAt = this.#startedAt + WINDOW_MS;
    const left = ceiling - this.#current * WINDOW_MS;
    // While the bucket before fades away, or, if this one alone is too much, when it fades in its turn.
    if (left >= 0) {
      return Math.min(endsAt - Math.floor(left / this.#previous), this.#previousLastAt + WINDOW_MS) - now;
    }
    const fadedAt = endsAt + WINDOW_MS - Math.floor(ceiling / this.#current);
    return Math.min(fadedAt, this.#currentLastAt + WINDOW_MS) - now;
  }

  /** After how long nothing is left, if nothing is added. */
  resetMs(now: number): number {
    this.#roll(now);
    if (this.#current > 0) return this.#currentLastAt + WINDOW_MS - now;
    return this.#previous > 0 ? this.#previousLastAt + WINDOW_MS - now : 0;
  }

  #roll(now: number): void {
    if (now - this.#startedAt >= WINDOW_MS) {
      this.#previous = this.#current;
      this.#previousLastAt = this.#currentLastAt;
      this.#current = 0;
      // After a longer pause it is too early still, and both are empty: what comes next begins anew.
      this.#startedAt += WINDOW_MS;
    }
    if (now - this.#previousLastAt >= WINDOW_MS) this.#previous = 0;
  }
}

import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { RedisState } from '../base/config/config.ts';
import { createRedisClient, type RedisClient } from './redis-client.ts';
import { isRefusal, isState, RedisAway, whatIs } from './redis-errors.ts';
import { type RedisKeys, redisKeys } from './redis-keys.ts';
import { redisOpenError } from './redis-open-error.ts';
import { redisScripts, type ScriptName, type Scripts } from './redis-scripts.ts';
import { Silence } from './redis-silence.ts';
import { numberFrom } from './redis-values.ts';

export type Argument = string | number;

export interface RedisConnectionOptions {
  readonly state: RedisState;
  /** How long opening waits for the first answer, ms. Default 5,000. */
  readonly openTimeoutMs?: number;
  /** Default: those of the files. */
  readonly scripts?: Scripts;
}

/** How long a request may wait for Redis, ms. */
const REQUEST_DEADLINE_MS = 50;
/** The same of everything else. */
const MANAGEMENT_DEADLINE_MS = 2_000;
/** A connection that has just broken may be back in a moment; management waits so long for it, ms. */
const GRACE_MS = 500;
/** How many deadlines a command may wait in a queue that moves. */
const QUEUE_FACTOR = 5;
/** What a server that is merely busy doesn't keep, while an answer is due, ms. */
const LONG_SILENCE_MS = 150;
/** How often Redis is asked whether it takes writes, ms; while it is away, and while it is there. */
const PROBE_INTERVAL_MS = 100;
const HEARTBEAT_INTERVAL_MS = 500;
/** A heartbeat without an answer for so long shows that Redis is away, ms. */
const HEARTBEAT_DEADLINE_MS = 250;
/** An instance without a heartbeat for so long is gone, ms. */
const INSTANCE_LIFETIME_MS = 5_000;

type Status =
  | { readonly kind: 'there' }
  | { readonly kind: 'away'; readonly since: number; readonly why: RedisAway }
  | { readonly kind: 'closed' };

/**
 * One Redis, as all who need it see it: scripts with a deadline each, and a word on whether it is there. Heartbeats
 * that write tell of a server that is gone, stopped, loading or a replica, within a second; until one gets through
 * again nobody waits for it.
 */
export class RedisConnection {
  readonly keys: RedisKeys;
  /** Names this instance among those that share the Redis. */
  readonly instance = randomUUID();
  readonly #state: RedisState;
  readonly #client: RedisClient;
  readonly #scripts: Scripts;
  readonly #listeners = new Set<(isThere: boolean) => void>();
  readonly #silence = new Silence();
  #status: Status = { kind: 'away', since: performance.now(), why: new RedisAway('it is being connected') };
  readonly #beatListeners = new Set<(version: number) => void>();
  #instances = 1;
  #version = 0;
  #timer: NodeJS.Timeout | null = null;
  #beating = false;
  #lastError: unknown = null;

  private constructor(state: RedisState, scripts: Scripts) {
    this.#state = state;
    this.#scripts = scripts;
    this.keys = redisKeys(state.prefix);
    this.#client = createRedisClient(state);
    this.#client.on('error', (error: unknown) => {
      this.#lastError = error;
    });
    this.#client.on('close', () => this.#lost('the connection to Redis is lost'));
    this.#client.on('ready', () => void this.#greet());
  }

  /** @throws StoreOpenError of one line: where, what, and what to do */
  static async open(options: RedisConnectionOptions): Promise<RedisConnection> {
    const connection = new RedisConnection(options.state, options.scripts ?? redisScripts());
    try {
      await connection.#arrival(options.openTimeoutMs ?? 5_000);
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Whether Redis can be expected to answer, and to take writes. */
  get isThere(): boolean {
    return this.#status.kind === 'there';
  }

  /** How many instances share the Redis, this one among them; while it is away, how many there were. */
  get instances(): number {
    return this.#instances;
  }

  /** The version of what is stored, as of the last heartbeat. */
  get version(): number {
    return this.#version;
  }

  /** Calls back with the version at every heartbeat that was answered. @returns stops that */
  onHeartbeat(listener: (version: number) => void): () => void {
    this.#beatListeners.add(listener);
    return () => this.#beatListeners.delete(listener);
  }

  /** A heartbeat now, instead of in half a second. Never rejects. */
  beat(): Promise<void> {
    return this.#beat();
  }

  /** Calls back when Redis goes away and when it is there again. @returns stops that */
  onChange(listener: (isThere: boolean) => void): () => void {
    const own = (isThere: boolean): void => listener(isThere);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Runs a script that a request waits for: at once or not at all. Rejects with RedisAway or what Redis said. */
  request(script: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    if (this.#status.kind !== 'there') return Promise.reject(this.#awayError());
    return this.#within(REQUEST_DEADLINE_MS, this.#evaluate(script, keys, args));
  }

  /** Runs a script without a deadline: whether it was done decides what comes next. Rejects as `request` does. */
  post(script: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    if (this.#status.kind !== 'there') return Promise.reject(this.#awayError());
    return this.#evaluate(script, keys, args);
  }

  /** Runs a script that no request waits for. Rejects as `request` does. */
  async manage(script: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    await this.#readiness();
    return this.#within(MANAGEMENT_DEADLINE_MS, this.#evaluate(script, keys, args));
  }

  /** A single command, as `manage` does a script. */
  async command(name: string, ...args: readonly Argument[]): Promise<unknown> {
    await this.#readiness();
    return this.#within(MANAGEMENT_DEADLINE_MS, this.#client.call(name, ...args));
  }

  /** A client like this one, of its own, for what needs a connection to itself. The caller disconnects it. */
  createSibling(): RedisClient {
    return createRedisClient(this.#state);
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#status.kind === 'closed';
  }

  async close(): Promise<void> {
    if (this.#status.kind === 'closed') return;
    const wasThere = this.#status.kind === 'there';
    this.#status = { kind: 'closed' };
    this.#listeners.clear();
    this.#beatListeners.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    // The others' share of the limits grows at once, not only when this one's last heartbeat is old.
    if (wasThere) {
      const farewell = this.#client.call('zrem', this.keys.instances, this.instance);
      await this.#within(HEARTBEAT_DEADLINE_MS, farewell).catch(() => {});
    }
    this.#client.disconnect();
  }

  async #evaluate(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const script = this.#scripts.get(name);
    if (script === undefined) throw new Error(`there is no script ${name}`);
    try {
      return await this.#client.evalsha(script.sha, keys.length, ...keys, ...args);
    } catch (error) {
      // A new server, a failover, a SCRIPT FLUSH. From now on it knows the script again.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return this.#client.eval(script.source, keys.length, ...keys, ...args);
    }
  }

  /**
   * What `answer` becomes; RedisAway when Redis has said nothing for `deadlineMs`. While it goes on answering others,
   * this one's turn will come: many at a time make a queue.
   */
  #within(deadlineMs: number, answer: Promise<unknown>): Promise<unknown> {
    const silence = this.#silence;
    silence.asked();
    return new Promise((resolve, reject) => {
      const askedAt = performance.now();
      let timer: NodeJS.Timeout | null = null;
      const arm = (ms: number): void => {
        // This process may be what was slow: what has come meanwhile is read first.
        timer = setTimeout(() => setImmediate(look), ms);
      };
      const look = (): void => {
        if (timer === null) return;
        const leftMs = Math.min(
          deadlineMs - silence.ms,
          QUEUE_FACTOR * deadlineMs - (performance.now() - askedAt),
        );
        if (leftMs > 0) {
          arm(leftMs);
          return;
        }
        reject(new RedisAway('Redis does not answer in time'));
        if (silence.ms >= LONG_SILENCE_MS) this.#lost('Redis does not answer');
      };
      const over = (): void => {
        silence.answered();
        if (timer !== null) clearTimeout(timer);
        timer = null;
      };
      arm(deadlineMs);
      answer.then(
        (value) => {
          over();
          resolve(value);
        },
        (error: unknown) => {
          over();
          if (isState(error)) this.#lost(whatIs(error));
          reject(error);
        },
      );
    });
  }

  /** Resolves when Redis is there; rejects when it has been away for more than a moment. */
  async #readiness(): Promise<void> {
    if (this.#status.kind === 'there') return;
    const leftMs = this.#status.kind === 'away' ? this.#status.since + GRACE_MS - performance.now() : 0;
    if (leftMs > 0) await this.#changeWithin(leftMs);
    if (!this.isThere) throw this.#awayError();
  }

  #changeWithin(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(done, ms);
      const stop = this.onChange(done);
    });
  }

  #awayError(): RedisAway {
    if (this.#status.kind === 'away') return this.#status.why;
    return new RedisAway('its store is closed');
  }

  /** @throws StoreOpenError */
  async #arrival(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!this.isThere) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 || isRefusal(this.#lastError)) {
        throw redisOpenError(this.#state, this.#lastError ?? this.#awayError());
      }
      await this.#changeWithin(Math.min(leftMs, 50));
    }
  }

  /** A connection has come about: scripts are told, so that commands never overtake each other, and Redis is asked. */
  async #greet(): Promise<void> {
    const nodes = 'nodes' in this.#client ? this.#client.nodes('master') : [this.#client];
    const loads = nodes.flatMap((node) =>
      Array.from(this.#scripts.values(), ({ source }) => node.script('LOAD', source)),
    );
    await this.#within(MANAGEMENT_DEADLINE_MS, Promise.allSettled(loads)).catch(() => {});
    await this.#beat();
  }

  async #beat(): Promise<void> {
    if (this.isClosed || this.#beating) return;
    this.#beating = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    try {
      const { instances, version } = this.keys;
      const beat = this.#evaluate('heartbeat', [instances, version], [this.instance, INSTANCE_LIFETIME_MS]);
      const reply = await this.#within(HEARTBEAT_DEADLINE_MS, beat);
      const [count, present] = Array.isArray(reply) ? reply : [];
      this.#instances = Math.max(1, numberFrom(count));
      this.#version = numberFrom(present);
      for (const listener of [...this.#beatListeners]) listener(this.#version);
      this.#found();
    } catch (error) {
      this.#lastError = error;
      this.#lost(whatIs(error));
    } finally {
      this.#beating = false;
      this.#schedule();
    }
  }

  #schedule(): void {
    if (this.isClosed) return;
    const ms = this.isThere ? HEARTBEAT_INTERVAL_MS : PROBE_INTERVAL_MS;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), ms).unref();
  }

  #found(): void {
    if (this.#status.kind !== 'away') return;
    this.#status = { kind: 'there' };
    for (const listener of [...this.#listeners]) listener(true);
  }

  #lost(why: string): void {
    if (this.#status.kind !== 'there') return;
    this.#status = { kind: 'away', since: performance.now(), why: new RedisAway(why) };
    this.#schedule();
    for (const listener of [...this.#listeners]) listener(false);
  }
}

import type { RedisClient } from './redis-client.ts';
import type { RedisConnection } from './redis-connection.ts';

/**
 * Tells of changes that other instances make: they publish `version origin`. The version that comes with every
 * heartbeat is the net below: messages are not kept for those who are away.
 */
export class RedisWatch {
  readonly #connection: RedisConnection;
  readonly #listeners = new Set<() => void>();
  #subscriber: RedisClient | null = null;
  #stopBeats: () => void = () => {};
  /** The newest version that is known of, and the one of the last heartbeat. */
  #known = 0;
  #beaten = 0;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Calls back after another instance has changed something. */
  add(listener: () => void): () => void {
    // An own function each time: the same listener may watch twice, and stop once.
    const own = (): void => listener();
    this.#listeners.add(own);
    if (this.#listeners.size === 1) this.#start();
    return () => {
      if (this.#listeners.delete(own) && this.#listeners.size === 0) this.#stop();
    };
  }

  close(): void {
    this.#listeners.clear();
    this.#stop();
  }

  #start(): void {
    if (this.#connection.isClosed) return;
    this.#known = this.#connection.version;
    this.#beaten = this.#known;
    this.#stopBeats = this.#connection.onHeartbeat((version) => this.#compare(version));
    const subscriber = this.#connection.createSibling();
    this.#subscriber = subscriber;
    subscriber.on('error', () => {});
    subscriber.on('message', (_channel: string, message: string) => this.#hear(message));
    subscriber.on('ready', () => {
      // Once it listens, what happened before is looked for: nothing falls between the two.
      subscriber.subscribe(this.#connection.keys.channel).then(
        () => this.#connection.beat(),
        () => {},
      );
    });
  }

  #stop(): void {
    this.#stopBeats();
    this.#subscriber?.disconnect();
    this.#subscriber = null;
  }

  #hear(message: string): void {
    const [text = '', origin = ''] = message.split(' ');
    const version = Number(text);
    // Of one's own change nothing is told, if no other's was missed before it.
    const isOwn = origin === this.#connection.instance && version <= this.#known + 1;
    this.#known = Math.max(this.#known, version);
    if (!isOwn) this.#tell();
  }

  #compare(version: number): void {
    // A message may have overtaken the answer, which then is older. What goes back from beat to beat was flushed.
    const isNews = version > this.#known || version < this.#beaten;
    this.#beaten = version;
    if (!isNews) return;
    this.#known = version;
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { DelayRecorder, type Delays } from '../measure/stats.ts';
import { openWindow, type Subject, type WindowReading } from '../measure/window.ts';
import { Connection, statusOf } from './connection.ts';
import { clockUs, requestBytes } from './exchange.ts';
import { onEachTurn } from './poll.ts';

export interface OpenLoopJob {
  readonly port: number;
  readonly subject: Subject | null;
  readonly ratePerSecond: number;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface OpenLoopResult {
  readonly window: WindowReading;
  /** From arrival (not from sending) to the complete answer. */
  readonly delays: Delays;
  /** How late the generator itself was with its arrivals: its own noise, not the proxy's. */
  readonly lateness: Delays;
}

/**
 * Requests arrive at a fixed rate, whether earlier ones were answered or not. One that finds no free connection
 * waits, and its wait counts: no coordinated omission. A request has arrived when a turn of the generator's event loop
 * finds it due; how late that was depends on the generator alone, and is reported apart instead of being charged to
 * whoever is measured.
 */
export async function runOpenLoop(job: OpenLoopJob): Promise<OpenLoopResult> {
  const run = new OpenLoop(job);
  try {
    await run.connect();
    run.startTicking();
    await sleep(job.warmUpMs);
    run.resetRecorders();
    const closeWindow = openWindow(job.subject);
    await sleep(job.measureMs);
    const window = closeWindow();
    return { window, ...run.readings() };
  } finally {
    await run.stop();
  }
}

interface Client {
  readonly connection: Connection;
  arrivedUs: number;
}

class OpenLoop {
  readonly #job: OpenLoopJob;
  readonly #request = requestBytes('chat');
  readonly #clients: Client[] = [];
  /** Taken from the front, given back at the end: all connections are used in turn. */
  readonly #idle: Client[] = [];
  readonly #waitingSinceUs: number[] = [];
  #delays = new DelayRecorder();
  #lateness = new DelayRecorder();
  #fault: string | null = null;
  #stopTicking: (() => void) | null = null;
  #startedUs = 0;
  #arrivals = 0;

  constructor(job: OpenLoopJob) {
    this.#job = job;
  }

  async connect(): Promise<void> {
    for (let i = 0; i < this.#job.connections; i++) {
      const sink = {
        onHead: (head: string) => {
          if (statusOf(head) !== 200) this.#fault ??= `answered ${head.split('\r\n', 1)[0]}`;
        },
        onBody: () => {},
        onEnd: () => this.#answered(client),
      };
      const connection = await Connection.open(this.#job.port, sink, (reason) => {
        this.#fault ??= `connection lost: ${reason}`;
      });
      const client: Client = { connection, arrivedUs: 0 };
      this.#clients.push(client);
      this.#idle.push(client);
    }
  }

  startTicking(): void {
    this.#startedUs = clockUs();
    this.#stopTicking = onEachTurn(() => this.#tick());
  }

  #tick(): void {
    const intervalUs = 1e6 / this.#job.ratePerSecond;
    const nowUs = clockUs();
    for (;;) {
      const dueUs = this.#startedUs + this.#arrivals * intervalUs;
      if (dueUs > nowUs) return;
      this.#arrivals++;
      this.#lateness.add(nowUs - dueUs);
      const client = this.#idle.shift();
      if (client === undefined) this.#waitingSinceUs.push(nowUs);
      else this.#send(client, nowUs);
    }
  }

  #send(client: Client, arrivedUs: number): void {
    client.arrivedUs = arrivedUs;
    client.connection.send(this.#request);
  }

  #answered(client: Client): void {
    this.#delays.add(clockUs() - client.arrivedUs);
    const nextArrivedUs = this.#waitingSinceUs.shift();
    if (nextArrivedUs === undefined) this.#idle.push(client);
    else this.#send(client, nextArrivedUs);
  }

  resetRecorders(): void {
    this.#delays = new DelayRecorder();
    this.#lateness = new DelayRecorder();
  }

  readings(): { delays: Delays; lateness: Delays } {
    if (this.#fault !== null) throw new Error(this.#fault);
    if (this.#waitingSinceUs.length > this.#job.ratePerSecond) {
      throw new Error(`can't keep up with ${this.#job.ratePerSecond} requests/s`);
    }
    return { delays: this.#delays.summary(), lateness: this.#lateness.summary() };
  }

  async stop(): Promise<void> {
    this.#stopTicking?.();
    await sleep(50);
    for (const { connection } of this.#clients) connection.close();
  }
}

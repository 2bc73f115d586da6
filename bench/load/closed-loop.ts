import { setTimeout as sleep } from 'node:timers/promises';
import { DelayRecorder, type Delays } from '../measure/stats.ts';
import { openWindow, type Subject, type WindowReading } from '../measure/window.ts';
import { Connection, statusOf } from './connection.ts';
import { clockUs, type RequestName, requestBytes } from './exchange.ts';

/** A request of the caller's own: head and body as they go on the wire, one character a byte. */
export interface WireRequest {
  readonly wire: string;
}

export interface ClosedLoopJob {
  readonly port: number;
  readonly subject: Subject | null;
  readonly request: RequestName | WireRequest;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface ClosedLoopResult {
  readonly window: WindowReading;
  readonly answers: number;
  readonly answerBodyBytes: number;
  readonly delays: Delays;
}

/** Each connection sends its next request when its answer is complete: as much as the proxy can take. */
export async function runClosedLoop(job: ClosedLoopJob): Promise<ClosedLoopResult> {
  const run = new ClosedLoop(bytesOf(job.request));
  try {
    await run.start(job.port, job.connections);
    await sleep(job.warmUpMs);
    run.resetCounters();
    const closeWindow = openWindow(job.subject);
    await sleep(job.measureMs);
    const window = closeWindow();
    const result = { window, ...run.counters() };
    await run.finish();
    return result;
  } finally {
    run.close();
  }
}

function bytesOf(request: RequestName | WireRequest): Buffer {
  return typeof request === 'string' ? requestBytes(request) : Buffer.from(request.wire, 'latin1');
}

class ClosedLoop {
  readonly #request: Buffer;
  readonly #clients: Connection[] = [];
  #fault: string | null = null;
  #isFinishing = false;
  #inFlight = 0;
  #onIdle: (() => void) | null = null;
  #answers = 0;
  #answerBodyBytes = 0;
  #delays = new DelayRecorder();

  constructor(request: Buffer) {
    this.#request = request;
  }

  async start(port: number, connections: number): Promise<void> {
    const starters = Array.from({ length: connections }, () => this.#openClient(port));
    for (const start of await Promise.all(starters)) start();
  }

  async #openClient(port: number): Promise<() => void> {
    let sentUs = 0;
    const send = (): void => {
      sentUs = clockUs();
      this.#inFlight++;
      client.send(this.#request);
    };
    const client = await Connection.open(
      port,
      {
        onHead: (head) => {
          if (statusOf(head) !== 200) this.#fault ??= `answered ${head.split('\r\n', 1)[0]}`;
        },
        onBody: (_chunk, start, end) => {
          this.#answerBodyBytes += end - start;
        },
        onEnd: () => {
          this.#inFlight--;
          this.#answers++;
          this.#delays.add(clockUs() - sentUs);
          if (!this.#isFinishing) send();
          else if (this.#inFlight === 0) this.#onIdle?.();
        },
      },
      (reason) => {
        this.#fault ??= `connection lost: ${reason}`;
      },
    );
    this.#clients.push(client);
    return send;
  }

  resetCounters(): void {
    this.#answers = 0;
    this.#answerBodyBytes = 0;
    this.#delays = new DelayRecorder();
  }

  counters(): { answers: number; answerBodyBytes: number; delays: Delays } {
    if (this.#fault !== null) throw new Error(this.#fault);
    if (this.#answers === 0) throw new Error('not one answer within the window');
    return {
      answers: this.#answers,
      answerBodyBytes: this.#answerBodyBytes,
      delays: this.#delays.summary(),
    };
  }

  /** Lets the last answers come in, so that the proxy never sees a client go away in the middle. */
  async finish(): Promise<void> {
    this.#isFinishing = true;
    if (this.#inFlight === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    await Promise.race([idle, sleep(2_000, undefined, { ref: false })]);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

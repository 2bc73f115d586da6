import { setTimeout as sleep } from 'node:timers/promises';
import { DelayRecorder, type Delays } from '../measure/stats.ts';
import { openWindow, type Subject, type WindowReading } from '../measure/window.ts';
import { Connection, statusOf } from './connection.ts';
import { clockUs, eventBytes, eventClockDigits, eventPrefix, requestBytes } from './exchange.ts';

export interface StreamsJob {
  readonly port: number;
  readonly subject: Subject | null;
  readonly streams: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface StreamsResult {
  readonly window: WindowReading;
  readonly events: number;
  /** From the upstream's write to the client's read of the whole event. */
  readonly delays: Delays;
}

/** Opens paced streams and times every event that arrives within the window. */
export async function runStreams(job: StreamsJob): Promise<StreamsResult> {
  const request = requestBytes('stream');
  const clients: StreamClient[] = [];
  try {
    for (let i = 0; i < job.streams; i++) clients.push(await StreamClient.open(job.port, request));
    await sleep(job.warmUpMs);
    const delays = new DelayRecorder();
    for (const client of clients) client.onEvent = (sentUs) => delays.add(clockUs() - sentUs);
    const closeWindow = openWindow(job.subject);
    await sleep(job.measureMs);
    const window = closeWindow();
    for (const client of clients) client.assertHealthy();
    const summary = delays.summary();
    return { window, events: summary.count, delays: summary };
  } finally {
    for (const client of clients) client.close();
  }
}

/** Streams that got their head and first event and then hear nothing, held until `release`. */
export class HeldStreams {
  #clients: StreamClient[] = [];

  /** Opens `count` streams in batches that the accept queue can take; resolves when each has its first event. */
  async open(port: number, count: number): Promise<void> {
    const request = requestBytes('idle-stream');
    const batch = 100;
    for (let opened = 0; opened < count; opened += batch) {
      const size = Math.min(batch, count - opened);
      const clients = Array.from({ length: size }, () => StreamClient.open(port, request));
      this.#clients.push(...(await Promise.all(clients)));
    }
  }

  release(): void {
    const clients = this.#clients;
    this.#clients = [];
    for (const client of clients) client.close();
    for (const client of clients) client.assertHealthy();
  }
}

class StreamClient {
  onEvent: ((sentUs: number) => void) | null = null;
  readonly #connection: Connection;
  #fault: string | null = null;
  #carry = '';

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Resolves with the first event, which also says that head and pacing work. */
  static open(port: number, request: Buffer): Promise<StreamClient> {
    return new Promise((resolve, reject) => {
      let client: StreamClient | null = null;
      const fail = (reason: string): void => {
        if (client !== null) client.#fault ??= reason;
        reject(new Error(reason));
      };
      const sink = {
        onHead: (head: string) => {
          if (statusOf(head) !== 200) fail(`answered ${head.split('\r\n', 1)[0]}`);
        },
        onBody: (chunk: Buffer, start: number, end: number) => client?.receive(chunk, start, end),
        onEnd: () => fail('the stream ended'),
      };
      Connection.open(port, sink, (reason) => fail(`connection lost: ${reason}`)).then((connection) => {
        const opened = new StreamClient(connection);
        client = opened;
        opened.onEvent = () => {
          opened.onEvent = null;
          resolve(opened);
        };
        connection.send(request);
      }, reject);
    });
  }

  /** Events have one size and come in order, so their places follow from counting; a proxy may cut them anywhere. */
  receive(chunk: Buffer, start: number, end: number): void {
    let text = chunk.toString('latin1', start, end);
    if (this.#carry !== '') text = this.#carry + text;
    let at = 0;
    for (; text.length - at >= eventBytes; at += eventBytes) {
      const clockStart = at + eventPrefix.length;
      if (!text.startsWith(eventPrefix, at)) this.#fault ??= 'an event arrived changed';
      this.onEvent?.(Number(text.slice(clockStart, clockStart + eventClockDigits)));
    }
    this.#carry = at === text.length ? '' : text.slice(at);
  }

  assertHealthy(): void {
    if (this.#fault !== null) throw new Error(this.#fault);
  }

  close(): void {
    this.#connection.close();
  }
}

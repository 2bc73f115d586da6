import { setTimeout as delay } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import type { Engine } from '../engine/engine.ts';
import { isObject, type JsonObject } from '../http/exchange.ts';
import { usage } from './plan.ts';

export const REALTIME_PATH = '/v1/realtime';

/**
 * The transcription websocket: `session.update` names the model, `input_audio_buffer.append` brings audio,
 * `input_audio_buffer.commit` starts the transcription, and with `final` ends it.
 */
export function serveRealtime(socket: WebSocket, engine: Engine): void {
  const session = new Session(socket, engine);
  socket.on('message', (data, isBinary) => {
    void session.receive(isBinary ? null : String(data));
  });
  // A client that breaks the protocol gets its close frame from `ws`; there is nothing else to do about it.
  socket.on('error', () => {});
  session.send({
    type: 'session.created',
    id: `sess-${engine.id(REALTIME_PATH)}`,
    created: engine.nowSeconds,
  });
}

class Session {
  readonly #socket: WebSocket;
  readonly #engine: Engine;
  #model: string | null = null;
  #transcribing = false;
  #text = '';
  #samples = 0;
  #deltas = 0;
  /** Events are worked off one behind the other. */
  #queue: Promise<void> = Promise.resolve();
  /** Samples that came before the first commit. */
  #held: number[] = [];

  constructor(socket: WebSocket, engine: Engine) {
    this.#socket = socket;
    this.#engine = engine;
  }

  send(event: JsonObject): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(event));
  }

  receive(message: string | null): Promise<void> {
    this.#queue = this.#queue.then(() => this.#handle(message));
    return this.#queue;
  }

  async #handle(message: string | null): Promise<void> {
    const event = parse(message);
    if (event === null) return this.#error('Invalid JSON', 'invalid_json');
    switch (event.type) {
      case 'session.update':
        return this.#update(event);
      case 'input_audio_buffer.append':
        return this.#append(event);
      case 'input_audio_buffer.commit':
        return this.#commit(event);
      default:
        return this.#error(`Unknown event type: ${String(event.type)}`, 'unknown_event');
    }
  }

  #update(event: JsonObject): void {
    try {
      this.#model = this.#engine.modelFor(event.model);
    } catch (error) {
      this.#error(error instanceof Error ? error.message : String(error), 'model_not_found');
    }
  }

  async #append(event: JsonObject): Promise<void> {
    const audio = typeof event.audio === 'string' ? Buffer.from(event.audio, 'base64') : Buffer.alloc(0);
    if (audio.length < 2) return this.#error('Invalid audio data', 'invalid_audio');
    const samples = Math.floor(audio.length / 2);
    if (this.#transcribing) await this.#hear(samples);
    else this.#held.push(samples);
  }

  async #commit(event: JsonObject): Promise<void> {
    if (this.#model === null)
      return this.#error(
        'Model not validated. Make sure to validate the model by sending a session.update event.',
        'model_not_validated',
      );
    this.#transcribing = true;
    for (const samples of this.#held.splice(0)) await this.#hear(samples);
    if (event.final !== true) return;
    this.send({ type: 'transcription.done', text: this.#text, usage: usage(this.#samples, this.#deltas) });
    this.#transcribing = false;
    this.#text = '';
    this.#samples = 0;
    this.#deltas = 0;
  }

  async #hear(samples: number): Promise<void> {
    if (this.#deltas > 0) await delay(this.#engine.settings.chunkIntervalMs);
    const delta = `${this.#deltas === 0 ? '' : ' '}(${samples} samples)`;
    this.#text += delta;
    this.#samples += samples;
    this.#deltas += 1;
    this.send({ type: 'transcription.delta', delta });
  }

  #error(error: string, code: string): void {
    this.send({ type: 'error', error, code });
  }
}

function parse(message: string | null): JsonObject | null {
  try {
    const value: unknown = JSON.parse(message ?? '');
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** A websocket that says back what it is told, for tests of a relay; `close 4001 why` closes with that, `ping` pings. */
export function serveEchoSocket(socket: WebSocket): void {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => {
    const text = isBinary ? '' : String(data);
    const close = /^close (\d{4}) ?(.*)$/s.exec(text);
    if (close !== null) socket.close(Number(close[1]), close[2]);
    else if (text === 'ping') socket.ping('are you there');
    else socket.send(data, { binary: isBinary });
  });
}

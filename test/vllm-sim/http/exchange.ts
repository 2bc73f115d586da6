import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from '../engine/engine.ts';
import { invalid } from '../errors.ts';
import { parseLenientJson } from './lenient-json.ts';
import type { RecordedRequest } from './record.ts';
import { Gone, type Reply } from './reply.ts';

/** A JSON object that came from outside: nothing is known of its members. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One request and its answer, as the endpoints see them. */
export class Exchange {
  readonly engine: Engine;
  readonly request: RecordedRequest;
  readonly query: URLSearchParams;
  /** What stood in the path for each `{}` of the route. */
  readonly params: readonly string[];
  /** Aborts when the client leaves. */
  readonly gone: AbortSignal;
  readonly reply: Reply;
  readonly #extraHeaders: readonly string[];

  constructor(parts: {
    readonly engine: Engine;
    readonly request: RecordedRequest;
    readonly params: readonly string[];
    readonly gone: AbortSignal;
    readonly reply: Reply;
    readonly extraHeaders: readonly string[];
  }) {
    this.engine = parts.engine;
    this.request = parts.request;
    const mark = parts.request.url.indexOf('?');
    this.query = new URLSearchParams(mark === -1 ? '' : parts.request.url.slice(mark));
    this.params = parts.params;
    this.gone = parts.gone;
    this.reply = parts.reply;
    this.#extraHeaders = parts.extraHeaders;
  }

  /** Milliseconds between two tokens: header `x-sim-interval-ms`, or the server's setting. */
  get intervalMs(): number {
    return this.#milliseconds('x-sim-interval-ms') ?? this.engine.settings.chunkIntervalMs;
  }

  /** The base of this answer's id: header `x-request-id` as vLLM takes it, or a fresh one. */
  async id(): Promise<string> {
    const given = this.request.header('x-request-id');
    if (given !== undefined) return given;
    const body = await this.request.whole();
    return this.engine.id(`${this.request.method} ${this.request.url} ${body.toString('base64')}`);
  }

  /**
   * The body as a JSON object.
   *
   * @throws ApiError 400 as vLLM words it: another content type, no JSON, no object.
   */
  async json(): Promise<JsonObject> {
    const type = this.request.header('content-type')?.toLowerCase().split(';', 1)[0]?.trim();
    if (type !== 'application/json')
      throw invalid('value_error', [], "Unsupported Media Type: Only \\'application/json\\' is allowed");
    return this.lenientJson();
  }

  /** The same for the endpoints that don't look at the content type; an empty body is `{}`. */
  async lenientJson(): Promise<JsonObject> {
    const text = (await this.request.whole()).toString('utf8');
    if (text.trim() === '' && this.request.header('content-type') === undefined) return {};
    let value: unknown;
    try {
      value = parseLenientJson(text);
    } catch (error) {
      const place = /position (\d+)/.exec(String(error))?.[1];
      throw invalid('json_invalid', [Number(place ?? text.length)], 'JSON decode error');
    }
    if (!isObject(value)) throw invalid('model_attributes_type', [], 'Input should be a valid dictionary');
    return value;
  }

  /** Waits out `x-sim-delay-ms`: how long the model thinks before it answers. */
  async think(): Promise<void> {
    const ms = this.#milliseconds('x-sim-delay-ms') ?? 0;
    if (ms === 0) return;
    await delay(ms, undefined, { signal: this.gone }).catch(() => {
      throw new Gone();
    });
  }

  /** Answers with JSON, in the form that vLLM's server sends it. */
  async send(status: number, value: object, headers: readonly string[] = []): Promise<void> {
    await this.sendBytes(status, JSON.stringify(value), ['content-type', 'application/json', ...headers]);
  }

  async sendBytes(status: number, body: string | Uint8Array, headers: readonly string[]): Promise<void> {
    const bytes = Buffer.from(body);
    await this.reply.head(status, this.#head(headers), bytes.length);
    if (bytes.length > 0 && this.request.method !== 'HEAD') await this.reply.write(bytes);
    await this.reply.end();
  }

  /** A status and an empty body, as /health answers. */
  async sendEmpty(status: number): Promise<void> {
    await this.sendBytes(status, '', []);
  }

  /** Begins a stream of unknown length; go on with `reply.write` and `reply.end`. */
  async stream(status: number, headers: readonly string[]): Promise<void> {
    await this.reply.head(status, this.#head(headers), null);
  }

  #head(headers: readonly string[]): string[] {
    const date = new Date(this.engine.nowMs).toUTCString();
    return ['date', date, 'server', 'uvicorn', ...headers, ...this.#extraHeaders];
  }

  #milliseconds(name: string): number | null {
    const value = this.request.header(name);
    return value === undefined || !/^\d+$/.test(value) ? null : Number(value);
  }
}

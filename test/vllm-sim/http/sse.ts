import type { Exchange } from './exchange.ts';

/** The server-sent events of one answer; the head goes out before the first token is there, as vLLM's does. */
export class EventStream {
  readonly #exchange: Exchange;

  private constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  static async open(exchange: Exchange): Promise<EventStream> {
    await exchange.stream(200, ['content-type', 'text/event-stream; charset=utf-8']);
    return new EventStream(exchange);
  }

  /** One event: `data:` alone, or behind an `event:` line (Anthropic, responses). */
  async event(data: object, name?: string): Promise<void> {
    const line = name === undefined ? '' : `event: ${name}\n`;
    await this.#exchange.reply.write(`${line}data: ${JSON.stringify(data)}\n\n`);
  }

  /** `data: [DONE]`, with which most of the streams say that they are complete. */
  async done(): Promise<void> {
    await this.#exchange.reply.write('data: [DONE]\n\n');
  }

  async close(): Promise<void> {
    await this.#exchange.reply.end();
  }
}

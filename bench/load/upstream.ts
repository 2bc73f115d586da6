/**
 * The upstream of all cases, in the load's process and event loop. Raw sockets and prepared answers, so that it
 * takes as little of that core as it can.
 */
import { createServer, type Socket } from 'node:net';
import { bulkBytes, chatAnswerBytes, clientModel, upstreamModel } from './exchange.ts';
import { MessageReader, type MessageSink } from './message-reader.ts';
import { addStream, removeStream } from './pacer.ts';

const splicedModel = `"model":"${upstreamModel}"`;
const streamHead = [
  'HTTP/1.1 200 OK',
  'date: Thu, 01 Jan 2026 00:00:00 GMT',
  'server: uvicorn',
  'content-type: text/event-stream; charset=utf-8',
  'transfer-encoding: chunked',
  '\r\n',
].join('\r\n');

/** The answer names the model that arrived, as vLLM's does: that is how the bench sees that the splice happened. */
const answers = { spliced: chatAnswer(upstreamModel), verbatim: chatAnswer(clientModel) };
const uploadAnswer = `${head('application/json', 2)}{}`;
const downloadHead = head('application/octet-stream', bulkBytes);
const downloadBody = Buffer.alloc(bulkBytes, 'd');

class Exchange implements MessageSink {
  readonly #socket: Socket;
  #path = '';
  #body = '';

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  onHead(text: string): void {
    this.#path = text.slice(text.indexOf(' ') + 1, text.indexOf(' HTTP/'));
    this.#body = '';
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    if (this.#path.endsWith('/chat/completions')) this.#body += chunk.toString('latin1', start, end);
  }

  onEnd(): void {
    const path = this.#path;
    if (path.endsWith('/chat/completions')) this.#chat();
    else if (path.endsWith('/bench/upload')) this.#socket.write(uploadAnswer, 'latin1');
    else if (path.endsWith('/bench/download')) this.#download();
    else this.#socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n', 'latin1');
  }

  #chat(): void {
    const pace = /"stream":true,"interval_ms":(\d+)/.exec(this.#body);
    if (pace === null) {
      this.#socket.write(this.#body.includes(splicedModel) ? answers.spliced : answers.verbatim, 'latin1');
    } else {
      this.#socket.write(streamHead, 'latin1');
      addStream(this.#socket, Number(pace[1]));
    }
  }

  #download(): void {
    this.#socket.cork();
    this.#socket.write(downloadHead, 'latin1');
    this.#socket.write(downloadBody);
    this.#socket.uncork();
  }
}

function head(contentType: string, length: number): string {
  return [
    'HTTP/1.1 200 OK',
    'date: Thu, 01 Jan 2026 00:00:00 GMT',
    'server: uvicorn',
    `content-length: ${length}`,
    `content-type: ${contentType}`,
    '\r\n',
  ].join('\r\n');
}

function chatAnswer(model: string): string {
  const start = `{"id":"chatcmpl-bench","object":"chat.completion","model":"${model}","choices":[{"index":0,"message":{"role":"assistant","content":"`;
  const end = `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":250,"total_tokens":314,"completion_tokens":64}}`;
  const body = start + 'b'.repeat(chatAnswerBytes - start.length - end.length) + end;
  return head('application/json', chatAnswerBytes) + body;
}

/** Serves until the process ends; resolves with its port. */
export function serveUpstream(): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    const reader = new MessageReader(new Exchange(socket));
    socket.on('data', (chunk: Buffer) => reader.feed(chunk, chunk.length));
    // A proxy that is stopped resets its connections; that is no fault here.
    socket.on('error', () => {});
    socket.on('close', () => removeStream(socket));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
      const address = server.address();
      if (address !== null && typeof address === 'object') resolve(address.port);
    });
  });
}

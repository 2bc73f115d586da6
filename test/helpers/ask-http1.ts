import { connect } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Live, Question } from './ask.ts';
import { MessageReader, valuesOf } from './http1-message.ts';
import { Watch } from './watch.ts';

export function openHttp1(port: number, question: Question): Live {
  const { method = 'GET', path, headers = [], body } = question;
  const watch = new Watch();
  const reader = new MessageReader(method);
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let closed = false;
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  socket.on('data', (bytes: Buffer) => {
    reader.push(bytes);
    watch.changed();
  });
  socket.on('end', () => reader.finish());
  socket.on('close', () => {
    closed = true;
    watch.changed();
  });
  const chunked = Array.isArray(body);
  const whole = chunked || body === undefined ? null : Buffer.from(body as string);
  const sent = [...headers];
  if (valuesOf(sent, 'host').length === 0) sent.unshift('Host', 'gateway.test');
  if (chunked) sent.push('Transfer-Encoding', 'chunked');
  else if (whole !== null && valuesOf(sent, 'content-length').length === 0)
    sent.push('Content-Length', String(whole.length));
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (let i = 0; i < sent.length; i += 2) head += `${sent[i]}: ${sent[i + 1]}\r\n`;
  socket.write(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), whole ?? Buffer.alloc(0)]));
  const live: Live = {
    write(chunk) {
      const bytes = Buffer.from(chunk as string);
      if (!chunked) socket.write(bytes);
      else if (bytes.length > 0)
        socket.write(
          Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]),
        );
    },
    end(trailers = []) {
      let last = '0\r\n';
      for (let i = 0; i < trailers.length; i += 2) last += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
      socket.write(`${last}\r\n`);
    },
    leave: () => void socket.destroy(),
    vanish: () => void socket.resetAndDestroy(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    interim: (status) =>
      watch.until(() => reader.interim.some((line) => statusOf(line) === status) || closed),
    get unsentBytes() {
      return socket.writableLength;
    },
    async head() {
      await watch.until(() => reader.hasHead || closed);
      return { status: statusOf(reader.startLine), headers: reader.headers };
    },
    async received(bytes) {
      await watch.until(() => reader.bodyBytes >= bytes || closed);
      return reader.body;
    },
    get bodyBytes() {
      return reader.bodyBytes;
    },
    async answer() {
      await watch.until(() => reader.complete || closed);
      return {
        status: statusOf(reader.startLine),
        reason: reader.startLine.split(' ').slice(2).join(' '),
        headers: reader.headers,
        body: reader.body,
        trailers: reader.trailers,
        interim: reader.interim.map(statusOf),
        whole: reader.complete,
        header: (name) => valuesOf(reader.headers, name).join(', ') || null,
      };
    },
  };
  if (chunked) for (const chunk of body) live.write(chunk);
  return live;
}

function statusOf(startLine: string): number {
  return Number(startLine.split(' ')[1]);
}

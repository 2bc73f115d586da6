/**
 * What client, upstream and configuration of a proxy agree on: names, sizes and the exact bytes of each request.
 * Every peer gets the same bytes, so a peer that needs no key still receives and forwards one.
 */

/** What the client asks for. */
export const clientModel = 'bench-model';
/** What a proxy with a model table must send instead. */
export const upstreamModel = 'bench/upstream-model';
export const masterKey = 'sk-bench-2f6c1d9a7b3e48058c04';

export const chatRequestBytes = 1024;
export const chatAnswerBytes = 600;
/** One server-sent event, `data: ` and the empty line included. */
export const eventBytes = 200;
/** Before the 16 digits of the monotonic clock's microseconds in each event. */
export const eventPrefix = 'data: {"sent_us":';
export const eventClockDigits = 16;
/** 10 MB, as in "MB/s". */
export const bulkBytes = 10_000_000;

export type RequestName = 'chat' | 'stream' | 'idle-stream' | 'upload' | 'upload-json' | 'download';

/** The complete request, head and body, as it goes on the wire. */
export function requestBytes(name: RequestName): Buffer {
  switch (name) {
    case 'chat':
      return post('/v1/chat/completions', 'application/json', chatBody('', chatRequestBytes));
    case 'stream':
      return post('/v1/chat/completions', 'application/json', streamBody(5));
    case 'idle-stream':
      return post('/v1/chat/completions', 'application/json', streamBody(0));
    case 'upload':
      return post('/v1/bench/upload', 'application/octet-stream', 'x'.repeat(bulkBytes));
    case 'upload-json':
      return post('/v1/bench/upload', 'application/json', chatBody('', bulkBytes));
    case 'download':
      return post('/v1/bench/download', 'application/json', chatBody('', chatRequestBytes));
  }
}

/** The upstream's pacing travels in the body, since a proxy may filter headers but must not touch this. */
function streamBody(intervalMs: number): string {
  return chatBody(`"stream":true,"interval_ms":${intervalMs},`, chatRequestBytes);
}

/** `messages` before `model`, the order in which OpenAI's Python client sends them. */
function chatBody(extra: string, totalBytes: number): string {
  const start = `{${extra}"messages":[{"role":"user","content":"`;
  const end = `"}],"model":"${clientModel}","max_tokens":128}`;
  return start + 'a'.repeat(totalBytes - start.length - end.length) + end;
}

function post(path: string, contentType: string, body: string): Buffer {
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: bench.test',
    `Authorization: Bearer ${masterKey}`,
    `Content-Type: ${contentType}`,
    'Accept: */*',
    'User-Agent: sluice-bench',
    `Content-Length: ${body.length}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1');
}

/** Microseconds of the machine's monotonic clock: comparable between processes, unlike `performance.now()`. */
export function clockUs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + Math.floor(nanoseconds / 1e3);
}

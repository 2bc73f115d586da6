import { openHttp1 } from './ask-http1.ts';
import { openHttp2 } from './ask-http2.ts';
import type { Pairs } from './http1-message.ts';

export type Protocol = 'HTTP/1.1' | 'HTTP/2';
export const PROTOCOLS: readonly Protocol[] = ['HTTP/1.1', 'HTTP/2'];

export interface Question {
  readonly method?: string;
  readonly path: string;
  /** Raw name-value pairs beside Host and the framing. */
  readonly headers?: Pairs;
  /** Sent whole with its length; a list: without a length, one write each, the end by `Live.end`. */
  readonly body?: string | Buffer | readonly string[];
  /** Behind a body without a length. */
  readonly trailers?: Pairs;
}

export interface Answer {
  readonly status: number;
  /** HTTP/1.1 alone has one. */
  readonly reason: string;
  /** Raw name-value pairs, pseudo-headers left out. */
  readonly headers: Pairs;
  readonly body: Buffer;
  readonly trailers: Pairs;
  /** Status of each 1xx that came before. */
  readonly interim: readonly number[];
  /** False: cut off or reset before its end. */
  readonly whole: boolean;
  /** The value of a header, several joined by `, `; null if there is none. */
  header(name: string): string | null;
}

/** A request under way. */
export interface Live {
  /** Bytes of the body, for one that was asked without a length. */
  write(chunk: string | Buffer): void;
  /** The end of such a body. */
  end(trailers?: Pairs): void;
  /** Goes away without a word: the connection (HTTP/1.1) or the stream (HTTP/2) is reset. */
  vanish(): void;
  /** Closes its connection, as a process does that ends. */
  leave(): void;
  /** Stops and goes on reading the response. */
  pause(): void;
  resume(): void;
  /** Resolves when this 1xx is there, or the response is over without it. */
  interim(status: number): Promise<void>;
  /** Body bytes that have been written and have not left this process. */
  readonly unsentBytes: number;
  /** Resolves when the response's head is there. */
  head(): Promise<{ readonly status: number; readonly headers: Pairs }>;
  /** Resolves when this many bytes of the response's body are there. */
  received(bytes: number): Promise<Buffer>;
  /** Body bytes so far. */
  readonly bodyBytes: number;
  /** Resolves at the response's end, whatever it is like. */
  answer(): Promise<Answer>;
}

/** Asks and waits for the whole answer. */
export function ask(protocol: Protocol, port: number, question: Question): Promise<Answer> {
  const live = open(protocol, port, question);
  if (Array.isArray(question.body)) live.end(question.trailers);
  return live.answer();
}

/** Sends a request; a body that is a list is left open. */
export function open(protocol: Protocol, port: number, question: Question): Live {
  return protocol === 'HTTP/1.1' ? openHttp1(port, question) : openHttp2(port, question);
}

/** The error envelope of an answer. */
export function errorOf(answer: Answer): {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
} {
  return JSON.parse(answer.body.toString()).error;
}

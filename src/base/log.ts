import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';
import { LineWriter } from './line-writer.ts';

export interface LogOptions {
  /** `debug` with `--detailed_debug`, else `info`. */
  readonly level: 'debug' | 'info' | 'silent';
  /** Lines for people on a terminal; JSON lines for everything else. */
  readonly pretty: boolean;
  /** File descriptor to write to; 1 is stdout. */
  readonly fd: number;
  /** Other processes write to it as well. Default: no. */
  readonly isShared?: boolean;
}

export interface Log {
  readonly logger: Logger;
  /** Takes a finished JSON line past the logger; null when lines are for people. */
  readonly lines: ((line: string) => void) | null;
  /** Resolves when all lines are written; before the process ends. */
  flush(): Promise<void>;
}

const OPTIONS = {
  base: null,
  timestamp: logTime,
  formatters: { level: (label: string) => ({ level: label }) },
} satisfies LoggerOptions;

let stampedAt = 0;
let stamp = '';

/** The field `"time"` of a line, its comma in front: ISO 8601, made once a millisecond: under load many lines share one. */
export function logTime(): string {
  const now = Date.now();
  if (now !== stampedAt) {
    stampedAt = now;
    stamp = `,"time":"${new Date(now).toISOString()}"`;
  }
  return stamp;
}

/** Lines are gathered: a system call a line, on another thread at that, would cost more than the line. */
const FLUSH_INTERVAL_MS = 250;
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** A request's line as a person reads it; the other lines are their message. */
function message(line: Record<string, unknown>, text: string): string {
  if (text !== 'request') return text;
  const why = line.cause ?? line.why;
  const how = line.outcome === 'complete' ? '' : ` ${line.outcome}${why ? ` (${why})` : ''}`;
  const target = line.target === null ? '' : ` ← ${line.target}`;
  return `${line.method} ${line.path} ${line.status} in ${line.duration_ms} ms${target}${how}`;
}

export function createLog(options: LogOptions): Log {
  const { level, fd } = options;
  if (options.pretty) {
    const stream = PinoPretty({
      destination: fd,
      sync: true,
      translateTime: 'SYS:HH:MM:ss',
      messageFormat: (line, messageKey) => message(line, String(line[messageKey])),
      hideObject: level !== 'debug',
    });
    return {
      logger: pino({ ...OPTIONS, level }, stream as DestinationStream),
      lines: null,
      flush: async () => {},
    };
  }
  const writer = new LineWriter({
    fd,
    flushIntervalMs: FLUSH_INTERVAL_MS,
    maxPendingBytes: MAX_PENDING_BYTES,
    isShared: options.isShared ?? false,
  });
  return {
    logger: pino({ ...OPTIONS, level }, writer),
    lines: (line) => writer.write(line),
    flush: () => writer.flush(),
  };
}

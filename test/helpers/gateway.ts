import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { parseConfig } from '../../src/base/config/parse.ts';
import { type Gateway, startGateway } from '../../src/server/gateway.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';

/** One parsed log line. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface TestGateway {
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
  /** Every line logged so far. */
  readonly lines: readonly LogLine[];
  /** Resolves with the first line, past or future, that passes. */
  line(passes: (line: LogLine) => boolean): Promise<LogLine>;
  /** Takes another configuration into use. */
  reconfigure(yaml: string): void;
}

export interface TestGatewayOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly level?: 'info' | 'debug';
}

/** Starts a gateway from a configuration's text on a free port; it is closed when the test is over. */
export async function startTestGateway(yaml: string, options: TestGatewayOptions = {}): Promise<TestGateway> {
  const lines: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  const logger = pino(
    { level: options.level ?? 'info', base: null },
    {
      write(text: string) {
        const line = JSON.parse(text) as LogLine;
        lines.push(line);
        for (const resolve of waiting) resolve(line);
      },
    },
  );
  const parse = (text: string) =>
    parseConfig(text, {
      file: 'config.yaml',
      env: { DATABASE_URL: 'sqlite::memory:', ...options.env },
      providers: PROVIDERS,
      baseDir: '.',
    });
  const gateway = await startGateway({
    config: parse(yaml),
    host: '127.0.0.1',
    port: 0,
    environment: options.env ?? {},
    logger,
    version: '0.0.0-test',
  });
  onTestFinished(() => gateway.close());
  return {
    gateway,
    url: gateway.url,
    port: Number(new URL(gateway.url).port),
    lines,
    line(passes) {
      const known = lines.find(passes);
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((resolve) => {
        const check = (line: LogLine): void => {
          if (!passes(line)) return;
          waiting.delete(check);
          resolve(line);
        };
        waiting.add(check);
      });
    },
    reconfigure(text) {
      gateway.reconfigure(parse(text));
    },
  };
}

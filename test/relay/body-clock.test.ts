import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDoor } from '../../src/access/admit.ts';
import { parseConfig } from '../../src/base/config/parse.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import type { BodySink, Downstream, DownstreamListener } from '../../src/relay/downstream.ts';
import { relay } from '../../src/relay/relay.ts';
import type { RequestRecord } from '../../src/telemetry/request-log.ts';
import { DestinationTable } from '../../src/upstream/destination.ts';
import { TargetPicker } from '../../src/upstream/pick.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';

const CONFIG = parseConfig(
  `
model_list: [{model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "http://u.test"}}]
general_settings: {body_timeout: 10}
`,
  { file: 'config.yaml', env: {}, providers: PROVIDERS, baseDir: '.' },
);

/** A client that sends what it is told to, when it is told to. */
class FakeDownstream implements Downstream {
  readonly method = 'POST';
  readonly headers = ['Content-Type', 'application/json', 'Transfer-Encoding', 'chunked'];
  readonly body = { kind: 'unknown_length' } as const;
  readonly expectsContinue = false;
  readonly headSent = false;
  readonly bytesOut = 0;
  readonly discardableBytes = 0;
  listener: DownstreamListener | null = null;
  sink: BodySink | null = null;
  isPaused = false;
  status: number | null = null;

  readBody(sink: BodySink): void {
    this.sink = sink;
  }
  pauseBody(): void {
    this.isPaused = true;
  }
  resumeBody(): void {
    this.isPaused = false;
  }
  respond(status: number): void {
    this.status = status;
  }
  write(): boolean {
    return true;
  }
  sendContinue(): void {}
  writeInterim(): void {}
  writeHead(): void {}
  end(): void {}
  break(): void {}
  closeAfterResponse(): void {}

  send(text: string): void {
    this.sink?.onBodyData(Buffer.from(text));
  }
}

/** One request under way to an upstream that takes bytes or doesn't. */
function begun(upstream: { takes: boolean }): {
  client: FakeDownstream;
  drain: () => void;
  log: RequestRecord[];
} {
  const client = new FakeDownstream();
  const log: RequestRecord[] = [];
  let drain = (): void => {};
  relay(client, parseRequestPath('/v1/x'), {
    door: createDoor({ masterKey: null }),
    destinations: new DestinationTable({ routes: [], providerPrefixes: new Map() }),
    picker: new TargetPicker(CONFIG),
    client: {
      dispatch(_, handler) {
        drain = () => handler.onDrain();
        return { write: () => upstream.takes, end() {}, pause() {}, resume() {}, abort() {} };
      },
      close() {},
    },
    limits: CONFIG.limits,
    wake: () => Promise.reject(new Error('nothing sleeps here')),
    log: (record) => log.push(record),
    detail: null,
  });
  return { client, log, drain: () => drain() };
}

describe('body_timeout', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  test('each part of a body starts the clock anew, the one that names the model too', () => {
    const { client } = begun({ takes: true });
    for (const part of ['{', '"model":"m"', ',"x":1', ',"y":2']) {
      client.send(part);
      vi.advanceTimersByTime(9_000);
      expect([part, client.status]).toEqual([part, null]);
    }
    vi.advanceTimersByTime(1_200);
    expect(client.status).toBe(408);
  });

  test('a client whose upstream is slow is not blamed, from the first part on', () => {
    for (const parts of [['{"model":"m"'], ['{"model":"m"', ',"x":1']]) {
      const upstream = { takes: parts.length > 1 };
      const { client, drain, log } = begun(upstream);
      for (const [i, part] of parts.entries()) {
        if (i === 1) upstream.takes = false;
        client.send(part);
      }
      expect(client.isPaused).toBe(true);
      vi.advanceTimersByTime(100_000);
      expect(client.status).toBeNull();
      drain();
      expect(client.isPaused).toBe(false);
      vi.advanceTimersByTime(9_000);
      expect(client.status).toBeNull();
      vi.advanceTimersByTime(1_200);
      expect([client.status, log[0]?.why]).toEqual([408, 'request_timeout']);
    }
  });

  test('the end of a body ends its clock', () => {
    const { client } = begun({ takes: true });
    client.send('{"model":"m"}');
    client.sink?.onBodyEnd([]);
    vi.advanceTimersByTime(100_000);
    expect(client.status).toBeNull();
  });
});

import { type ClientHttp2Stream, connect } from 'node:http2';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import {
  type ClientDuplexStream,
  credentials,
  Client as GrpcClient,
  Metadata,
  type StatusObject,
} from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import type { HttpHeader } from '../../gen/sluice/v1/passthrough_pb.ts';
import {
  type ForwardRequest,
  ForwardRequestSchema,
  type ForwardResponse,
  ForwardResponseSchema,
  PassthroughService,
} from '../../gen/sluice/v1/passthrough_service_pb.ts';
import type { Limits } from '../../src/base/config/config.ts';
import { parseConfig } from '../../src/base/config/parse.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import type { RelayContext } from '../../src/relay/enter.ts';
import { contextFrom } from '../../src/server/context.ts';
import { createRpcServer } from '../../src/server/rpc.ts';
import { createAdmission } from '../../src/service/admission.ts';
import { bind, type MethodPolicy } from '../../src/service/binding.ts';
import { createForwardService } from '../../src/service/forward-service.ts';
import type { RequestRecord } from '../../src/telemetry/request-log.ts';
import { Http1Client } from '../../src/upstream/http1/http1-client.ts';
import { ReplicaTable } from '../../src/upstream/pick.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';
import type { Pairs } from '../helpers/http1-message.ts';
import { Watch } from '../helpers/watch.ts';
import { openTestPort } from '../server/port-fixture.ts';

export type Part = NonNullable<MessageInitShape<typeof ForwardRequestSchema>['part']>;

export interface ForwardFixture {
  readonly baseUrl: string;
  /** Of exchanges that are over, in order. */
  readonly records: readonly RequestRecord[];
  /** Resolves with the first record that passes, once it is there. */
  record(passes: (record: RequestRecord) => boolean): Promise<RequestRecord>;
  readonly context: RelayContext;
  /** Ends what has no end of its own, as a shutdown does. */
  shutdown(): void;
}

export interface ForwardOptions {
  readonly limits?: Partial<Limits>;
  /** Changes the context that the configuration makes. */
  readonly context?: (context: RelayContext) => RelayContext;
  /** Whether a shutdown ends calls under way. */
  readonly endless?: true;
}

/** PassthroughService's Forward and Fetch on a real port, with the relay of a configuration behind them. */
export async function startForward(yaml: string, options: ForwardOptions = {}): Promise<ForwardFixture> {
  const records: RequestRecord[] = [];
  const watch = new Watch();
  const log = (record: RequestRecord): void => {
    records.push(record);
    watch.changed();
  };
  const parsed = parseConfig(yaml, { file: 'config.yaml', env: {}, providers: PROVIDERS, baseDir: '.' });
  const config = { ...parsed, limits: { ...parsed.limits, ...options.limits } };
  const client = new Http1Client();
  onTestFinished(() => client.close());
  const additions = { deployments: [], asleep: new Set<string>(), routes: config.routes };
  const made = contextFrom(config, additions, {
    client,
    log,
    detail: null,
    wake: () => Promise.reject(new Error('no model sleeps here')),
    replicas: new ReplicaTable(),
  });
  const context = options.context?.(made) ?? made;
  const policy: MethodPolicy = options.endless ? { quiet: true, endless: true } : { quiet: true };
  const rpc = createRpcServer({
    services: [
      bind(
        PassthroughService,
        createForwardService(() => context),
        { forward: policy, fetch: policy },
      ),
    ],
    admit: createAdmission(() => context.door),
    log: () => {},
    bodyTimeoutMs: 5_000,
  });
  const port = await openTestPort({
    handlers: {
      request(request, response) {
        if (rpc.handles(parseRequestPath(request.url ?? '/'))) rpc.serve(request, response);
        else response.destroy();
      },
    },
  });
  return {
    baseUrl: `http://127.0.0.1:${port.address.port}`,
    records,
    async record(passes) {
      await watch.until(() => records.some(passes));
      return records.find(passes) as RequestRecord;
    },
    context,
    shutdown: () => rpc.shutdown(),
  };
}

/** Connect's own gRPC client. */
export function connectClient(fixture: ForwardFixture): Client<typeof PassthroughService> {
  return createClient(PassthroughService, createGrpcTransport({ baseUrl: fixture.baseUrl }));
}

/** What a call brought until it ended. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** Raw name-value pairs. */
  readonly headers: Pairs;
  readonly chunks: readonly Uint8Array[];
  readonly body: Buffer;
  readonly trailers: Pairs;
  /** The cases in their order, several chunks in a row as one. */
  readonly order: readonly string[];
  /** The value of a header, several joined by `, `; null if there is none. */
  header(name: string): string | null;
}

/** Puts messages of a response together. */
export function answerFrom(messages: readonly { readonly part: ForwardResponse['part'] }[]): Answer {
  const head = messages.find(({ part }) => part.case === 'head')?.part;
  const end = messages.find(({ part }) => part.case === 'trailers')?.part;
  const chunks = messages.flatMap(({ part }) => (part.case === 'chunk' ? [part.value] : []));
  const order: string[] = [];
  for (const { part } of messages) {
    if (part.case !== order.at(-1)) order.push(part.case ?? 'nothing');
  }
  const headers = head?.case === 'head' ? pairsOf(head.value.headers) : [];
  return {
    status: head?.case === 'head' ? head.value.status : 0,
    reason: head?.case === 'head' ? head.value.reason : '',
    headers,
    chunks,
    body: Buffer.concat(chunks),
    trailers: end?.case === 'trailers' ? pairsOf(end.value.headers) : [],
    order,
    header(name) {
      const values = headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name);
      return values.length === 0 ? null : values.join(', ');
    },
  };
}

/** The answer of a call that ends well. */
export async function collect(
  messages: AsyncIterable<{ readonly part: ForwardResponse['part'] }>,
): Promise<Answer> {
  const all = [];
  for await (const message of messages) all.push(message);
  return answerFrom(all);
}

export function headers(...pairs: readonly string[]): { name: string; value: string }[] {
  return Array.from({ length: pairs.length / 2 }, (_, i) => ({
    name: pairs[2 * i] as string,
    value: pairs[2 * i + 1] as string,
  }));
}

export function head(method: string, path: string, ...pairs: readonly string[]): Part {
  return { case: 'head', value: { method, path, headers: headers(...pairs) } };
}

export function chunk(bytes: string | Uint8Array): Part {
  return { case: 'chunk', value: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes };
}

export function trailers(...pairs: readonly string[]): Part {
  return { case: 'trailers', value: { headers: headers(...pairs) } };
}

/** The parts as a call's messages; the call is half-closed behind them. */
export async function* messages(
  ...parts: readonly Part[]
): AsyncIterable<MessageInitShape<typeof ForwardRequestSchema>> {
  for (const part of parts) yield { part };
}

function pairsOf(list: readonly HttpHeader[]): string[] {
  return list.flatMap(({ name, value }) => [name, value]);
}

/** A Forward call of grpc-js, whose messages go out one by one. */
export class LiveCall {
  readonly received: ForwardResponse[] = [];
  readonly #call: ClientDuplexStream<ForwardRequest, ForwardResponse>;
  readonly #watch = new Watch();
  #status: StatusObject | null = null;
  #ended = false;
  /** Messages that the call has not taken yet. */
  unsent = 0;

  constructor(fixture: ForwardFixture, metadata: Readonly<Record<string, string>> = {}) {
    const client = new GrpcClient(fixture.baseUrl.replace('http://', ''), credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
    });
    onTestFinished(() => client.close());
    const sent = new Metadata();
    for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
    this.#call = client.makeBidiStreamRequest(
      '/sluice.v1.PassthroughService/Forward',
      (message: ForwardRequest) => Buffer.from(toBinary(ForwardRequestSchema, message)),
      (bytes: Buffer) => fromBinary(ForwardResponseSchema, bytes),
      sent,
    );
    this.#call.on('data', (message: ForwardResponse) => {
      this.received.push(message);
      this.#watch.changed();
    });
    this.#call.on('status', (status: StatusObject) => {
      this.#status = status;
      this.#watch.changed();
    });
    // A client that was paused hears of the status before it has the last messages.
    this.#call.on('end', () => {
      this.#ended = true;
      this.#watch.changed();
    });
    this.#call.on('error', () => {}); // its status tells
    onTestFinished(() => this.#call.cancel());
  }

  get answer(): Answer {
    return answerFrom(this.received);
  }

  send(...parts: readonly Part[]): this {
    for (const part of parts) {
      this.unsent++;
      this.#call.write(create(ForwardRequestSchema, { part }), () => {
        this.unsent--;
      });
    }
    return this;
  }

  /** Closes this side. */
  halfClose(): this {
    this.#call.end();
    return this;
  }

  cancel(): void {
    this.#call.cancel();
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  until(passes: (answer: Answer) => boolean): Promise<void> {
    return this.#watch.until(() => passes(this.answer));
  }

  /** Resolves when the call is over and all its messages are here; a paused one goes on for that. */
  async status(): Promise<StatusObject> {
    this.#call.resume();
    await this.#watch.until(() => this.#status !== null && this.#ended);
    return this.#status as StatusObject;
  }
}

/** A Forward call on an HTTP/2 connection of its own, with nothing of gRPC's client between. */
export function rawForward(fixture: ForwardFixture, ...parts: readonly Part[]): ClientHttp2Stream {
  const session = connect(fixture.baseUrl);
  session.on('error', () => {});
  onTestFinished(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': '/sluice.v1.PassthroughService/Forward',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  for (const part of parts) {
    const message = toBinary(ForwardRequestSchema, create(ForwardRequestSchema, { part }));
    const envelope = Buffer.alloc(5 + message.length);
    envelope.writeUInt32BE(message.length, 1);
    envelope.set(message, 5);
    stream.write(envelope);
  }
  return stream;
}

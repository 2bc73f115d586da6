import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { authorized, dispatch } from './dispatch.ts';
import { REALTIME_PATH, serveEchoSocket, serveRealtime } from './endpoints/realtime.ts';
import type { Engine } from './engine/engine.ts';
import { ApiError } from './errors.ts';
import type { FaultBook } from './fault-book.ts';
import { type FaultPlan, NO_FAULT } from './http/faults.ts';
import { FaultyReply } from './http/faulty-reply.ts';
import type { RecordedRequest } from './http/record.ts';
import { Gone, PlainReply, type Reply } from './http/reply.ts';
import type { RequestLog } from './http/request-log.ts';
import type { Watch } from './http/watch.ts';

/** Gets the bare socket behind a request's head and does with it what it likes. */
export type Script = (socket: Socket, request: RecordedRequest) => void | Promise<void>;

const ECHO_SOCKET_PATH = '/sim/ws';
const RAW_PATH = '/sim/raw';

/** The simulator's port: connections, the record of each request, and who answers it. */
export class SimServer {
  readonly http: Server;
  readonly sockets = new Set<Socket>();
  readonly scripts = new Map<string, Script>();
  readonly #engine: Engine;
  readonly #log: RequestLog;
  readonly #faults: FaultBook;
  readonly #watch: Watch;
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: true,
    handleProtocols: (protocols, request) =>
      request.url?.startsWith(ECHO_SOCKET_PATH) ? ([...protocols][0] ?? false) : false,
  });
  /** Node's own way with a new connection. */
  readonly #serve: (socket: Socket) => void;
  /** Connections that were taken and are not served yet; null once serving. */
  #held: Socket[] | null = null;

  constructor(parts: {
    readonly engine: Engine;
    readonly log: RequestLog;
    readonly faults: FaultBook;
    readonly watch: Watch;
  }) {
    this.#engine = parts.engine;
    this.#log = parts.log;
    this.#faults = parts.faults;
    this.#watch = parts.watch;
    // Limits are the gateway's business; what gets as far as here is to be seen.
    this.http = createServer(
      {
        keepAliveTimeout: parts.engine.settings.keepAliveTimeoutMs,
        maxHeaderSize: 1 << 20,
        requireHostHeader: false,
        requestTimeout: 0,
        headersTimeout: 0,
        shouldUpgradeCallback: (request) => this.#upgrades(request),
      },
      (message, response) => void this.#onRequest(message, response),
    );
    this.http.maxHeadersCount = 0;
    this.http.on('upgrade', (message, socket: Socket, head) => void this.#onUpgrade(message, socket, head));
    this.http.on('clientError', (_error, socket) => {
      if (!socket.writable) return;
      socket.end(
        'HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n' +
          'Invalid HTTP request received.',
      );
    });
    const serve = this.http.listeners('connection')[0] as (socket: Socket) => void;
    this.http.removeAllListeners('connection');
    this.http.on('connection', (socket: Socket) => {
      this.#track(socket);
      if (this.#held === null) this.#serve(socket);
      else this.#held.push(socket);
    });
    this.#serve = (socket) => serve.call(this.http, socket);
  }

  /** Takes connections from now on and leaves them without an answer. */
  hold(): void {
    this.#held ??= [];
  }

  /** Serves the connections that were held, and all to come. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const socket of held) if (!socket.destroyed) this.#serve(socket);
  }

  /** Stops listening; with `now`, also what is under way. */
  async close(now: boolean): Promise<void> {
    const closed = new Promise<void>((resolve) => this.http.close(() => resolve()));
    if (now) for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  #track(socket: Socket): void {
    socket.setMaxListeners(0);
    socket.setNoDelay(true);
    this.sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.sockets.delete(socket);
      this.#watch.changed();
    });
    this.#watch.changed();
  }

  /** Settles the request when its client leaves; the signal aborts with it. */
  #watchClient(request: RecordedRequest, socket: Socket): AbortSignal {
    const gone = new AbortController();
    const leave = () => {
      this.#log.settle(request, socket.writableEnded ? 'broken' : 'aborted');
      gone.abort();
    };
    // Ahead of Node's own listener, which ends the socket, so that "has ended" still means "by us". A FIN in
    // the middle of an exchange counts as leaving, as it does in uvicorn.
    socket.prependListener('end', leave);
    socket.prependListener('error', leave);
    socket.on('close', leave);
    void request.ended.then(() => {
      for (const event of ['end', 'error', 'close']) socket.off(event, leave);
    });
    return gone.signal;
  }

  async #onRequest(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = message;
    const request = this.#log.add(message);
    const gone = this.#watchClient(request, socket);
    response.on('finish', () => this.#log.settle(request, 'answered'));
    try {
      const script = this.scripts.get(request.path);
      if (script !== undefined) return await script(socket, request);
      if (request.path === RAW_PATH) return await this.#answerRaw(request, socket, response);
      const { plan, refusal } = this.#orders(request);
      const isFaulty = plan.breakage !== null || plan.slowMs > 0;
      const reply: Reply = isFaulty ? new FaultyReply(socket, gone, plan) : new PlainReply(response, gone);
      await request.whole();
      await dispatch({ engine: this.#engine, request, reply, gone, refusal });
      if (isFaulty) this.#log.settle(request, 'answered');
    } catch (error) {
      this.#log.settle(request, 'broken');
      if (!socket.writableEnded) socket.destroy();
      if (!(error instanceof Gone)) throw error;
    }
  }

  /** What is to go wrong with a request, and the refusal that it may ask for. */
  #orders(request: RecordedRequest): { readonly plan: FaultPlan; readonly refusal: ApiError | null } {
    try {
      const plan = this.#faults.planFor(request);
      if (plan.status === null) return { plan, refusal: null };
      const message = `The simulator was asked for status ${plan.status}.`;
      return { plan, refusal: new ApiError(plan.status, 'SimulatedError', message) };
    } catch (error) {
      if (error instanceof ApiError) return { plan: NO_FAULT, refusal: error };
      throw error;
    }
  }

  /** Writes the request's body to the socket as it is; `?then=` says what comes of the connection. */
  async #answerRaw(request: RecordedRequest, socket: Socket, response: ServerResponse): Promise<void> {
    const bytes = await request.whole();
    const behind = new URLSearchParams(request.url.split('?')[1]).get('then') ?? 'fin';
    await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
    this.#log.settle(request, behind === 'reset' ? 'broken' : 'answered');
    if (behind === 'reset') socket.resetAndDestroy();
    // Node's server goes on to the next request on this connection once this one's response has finished.
    else if (behind === 'keep') response.emit('finish');
    else socket.end();
  }

  #upgrades(message: IncomingMessage): boolean {
    const path = message.url?.split('?', 1)[0] ?? '';
    return path === REALTIME_PATH || path === ECHO_SOCKET_PATH || this.scripts.has(path);
  }

  async #onUpgrade(message: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const request = this.#log.add(message);
    const script = this.scripts.get(request.path);
    if (script !== undefined) {
      this.#watchClient(request, socket);
      if (head.length > 0) socket.unshift(head);
      await script(socket, request);
      return;
    }
    if (!authorized(this.#engine, request)) {
      const body = '{"error":"Unauthorized"}';
      socket.end(
        `HTTP/1.1 401 Unauthorized\r\nserver: uvicorn\r\ncontent-length: ${body.length}\r\n` +
          `content-type: application/json\r\nconnection: close\r\n\r\n${body}`,
      );
      this.#log.settle(request, 'answered');
      return;
    }
    this.#webSockets.handleUpgrade(message, socket, head, (webSocket) => {
      webSocket.on('close', (code) => this.#log.settle(request, code === 1006 ? 'aborted' : 'answered'));
      if (request.path === REALTIME_PATH) serveRealtime(webSocket, this.#engine);
      else serveEchoSocket(webSocket);
    });
  }
}

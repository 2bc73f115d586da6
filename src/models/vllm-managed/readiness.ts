import { request } from 'node:http';
import { type Clock, pause } from '../clock.ts';

export interface ReadinessOptions {
  /** `http://127.0.0.1:8000` */
  readonly base: string;
  readonly apiKey: string;
  /** The name that /v1/models must list. */
  readonly model: string;
  readonly clock: Clock;
  /** Between two tries. */
  readonly pollIntervalMs: number;
  /** For one answer: while the engine is loading, connections are taken and left waiting. */
  readonly tryTimeoutMs: number;
}

/** A list of models is a few KB; what sends more isn't one. */
const MAX_ANSWER_BYTES = 1_048_576;

/** Tells whether a model is served, and what stands in the way. */
export class Readiness {
  readonly #options: ReadinessOptions;
  #problem = 'nothing answers on its port';

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Why it wasn't ready when it was last asked. */
  get problem(): string {
    return this.#problem;
  }

  /** Resolves once it is ready, or when `signal` aborts. Never rejects. */
  async reached(signal: AbortSignal): Promise<void> {
    const { clock, pollIntervalMs } = this.#options;
    for (;;) {
      const problem = await this.#judge(signal);
      if (problem === null || signal.aborted) return;
      this.#problem = problem;
      await pause(clock, pollIntervalMs, signal);
    }
  }

  /** /health says 200, and /v1/models lists the model to who has the key and to nobody else. */
  async #judge(signal: AbortSignal): Promise<string | null> {
    const { model, apiKey } = this.#options;
    const health = await ask('/health', apiKey, this.#options, signal);
    if (health === null) return 'nothing answers on its port';
    if (health.status !== 200) return `/health answers ${health.status}`;
    const models = await ask('/v1/models', apiKey, this.#options, signal);
    if (models?.status !== 200) return `/v1/models answers ${models?.status ?? 'nothing'}`;
    if (!listedModels(models.body).includes(model)) return `/v1/models doesn't list ${JSON.stringify(model)}`;
    // Someone else may have taken the port, and even serve a model of this name; only ours knows the key.
    const stranger = await ask('/v1/models', 'sk-another', this.#options, signal);
    return stranger?.status === 401 || stranger?.status === 403
      ? null
      : 'the server on its port takes any key: it is another one, or ignores VLLM_API_KEY';
  }
}

/** The ids in an answer of /v1/models; none where it isn't one. */
function listedModels(body: string): readonly unknown[] {
  try {
    const { data } = JSON.parse(body) as { readonly data: readonly { readonly id: unknown }[] };
    return data.map(({ id }) => id);
  } catch {
    return [];
  }
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Null: no whole answer, for whatever reason. */
function ask(
  path: string,
  apiKey: string,
  options: ReadinessOptions,
  signal: AbortSignal,
): Promise<Answer | null> {
  const { base, clock, tryTimeoutMs } = options;
  return new Promise((resolve) => {
    const outgoing = request(base + path, {
      agent: false,
      headers: { authorization: `Bearer ${apiKey}` },
      signal,
    });
    const takeBack = clock.after(tryTimeoutMs, () => outgoing.destroy());
    const settle = (answer: Answer | null) => {
      takeBack();
      resolve(answer);
      outgoing.destroy();
    };
    outgoing.on('error', () => settle(null));
    outgoing.on('close', () => settle(null));
    outgoing.on('response', (incoming) => {
      const pieces: Buffer[] = [];
      let length = 0;
      incoming.on('error', () => settle(null));
      incoming.on('data', (piece: Buffer) => {
        length += piece.length;
        if (length > MAX_ANSWER_BYTES) settle(null);
        else pieces.push(piece);
      });
      incoming.on('end', () => {
        settle({ status: incoming.statusCode ?? 0, body: Buffer.concat(pieces).toString('utf8') });
      });
    });
    outgoing.end();
  });
}

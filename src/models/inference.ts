import { SluiceError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { RelayContext } from '../relay/enter.ts';
import { errorFromFailure } from '../relay/upstream-error.ts';
import { costOf, type Usage } from '../relay/usage.ts';
import { createUsageTap } from '../relay/usage-tap.ts';
import { UpstreamFailure } from '../upstream/client.ts';
import { type Lease, ModelAsleep } from '../upstream/pick.ts';
import { pieceOfChunk, textOfCompletion } from './chat-answer.ts';
import { EventStreamParser, type StreamEvent } from './event-stream.ts';
import { type Answer, ask, headerOf, textOf } from './exchange.ts';
import { isJsonObject, parseJson, placeOfNonFinite } from './json.ts';
import type { Models } from './models.ts';
import { unlessLeft } from './unless-left.ts';
import { errorMessage, refusalFrom } from './upstream-refusal.ts';

/** What a model is asked. */
export interface Prompt {
  /** A loaded model, one that loads on request, or any model of the data plane. */
  readonly modelId: string;
  /** The content of one user message. */
  readonly prompt: string;
  /** Fields of the upstream's request; they win over the configuration's, and a null takes one of those away. */
  readonly inferenceKwargs: Readonly<Record<string, Json>>;
}

/** Takes what a question has used; called once, unless it came to no answer. */
export type TellUsed = (used: { readonly tokens: number | null; readonly costUsd: number }) => void;

export interface InferenceOptions {
  readonly models: Pick<Models, 'remedyFor' | 'samplingDefaults'>;
  /** The data plane as it is now. */
  readonly relay: () => RelayContext;
}

/** A target, and the data plane that it was picked from. */
interface Leased {
  readonly lease: Lease;
  readonly context: RelayContext;
}

const ENDPOINT = 'v1/chat/completions';
const OF_THE_REQUEST = ['model', 'messages', 'prompt', 'stream'];

/**
 * Asks models, as the chat completion that any client could send: to the target that the data plane picks, over its
 * connections and counted among its requests.
 */
export class Inference {
  readonly #options: InferenceOptions;

  constructor(options: InferenceOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the model's text. An abort of `signal` stops the upstream and rejects with the signal's reason.
   * @throws SluiceError `invalid_request`, `model_not_found`, `failed_precondition` (not loaded), `load_failed`,
   *   what the upstream refuses in its own words, `upstream_*`
   */
  async infer(prompt: Prompt, signal: AbortSignal, tellUsed: TellUsed = () => {}): Promise<string> {
    refuseUnusable(prompt);
    const { lease, context } = await this.#lease(prompt.modelId, signal);
    const { maxBodyBytes } = context.limits;
    try {
      const answer = await this.#ask({ lease, context }, prompt, { stream: false, tellUsed }, signal);
      return await wholeText(answer, lease, maxBodyBytes);
    } catch (error) {
      throw told(error, lease, signal);
    } finally {
      lease.release();
    }
  }

  /** The same, piece by piece; the pieces joined are what `infer` resolves with. */
  async *stream(
    prompt: Prompt,
    signal: AbortSignal,
    tellUsed: TellUsed = () => {},
  ): AsyncGenerator<string, void, undefined> {
    refuseUnusable(prompt);
    const { lease, context } = await this.#lease(prompt.modelId, signal);
    const { maxBodyBytes } = context.limits;
    try {
      const answer = await this.#ask({ lease, context }, prompt, { stream: true, tellUsed }, signal);
      const type = headerOf(answer, 'content-type') ?? '';
      if (/^application\/json\b/i.test(type)) yield await wholeText(answer, lease, maxBodyBytes);
      else yield* pieces(answer, lease);
    } catch (error) {
      throw told(error, lease, signal);
    } finally {
      lease.release();
    }
  }

  async #lease(modelId: string, signal: AbortSignal): Promise<Leased> {
    const context = this.#options.relay();
    try {
      return { lease: this.#pick(modelId, context), context };
    } catch (error) {
      if (!(error instanceof ModelAsleep)) throw error;
    }
    const woken = await unlessLeft(context.wake(modelId), signal);
    return { lease: this.#pick(modelId, woken), context: woken };
  }

  #pick(modelId: string, { picker }: RelayContext): Lease {
    // Otherwise it might go to the server that takes all models that nobody here knows.
    const remedy = picker.modelNames.includes(modelId) ? null : this.#options.models.remedyFor(modelId);
    if (remedy !== null) {
      const message = `The model ${JSON.stringify(modelId)} is not loaded: ${remedy}.`;
      throw new SluiceError('failed_precondition', message, { param: 'model_id' });
    }
    return picker.pick({
      destination: { kind: 'v1', endpoint: ENDPOINT },
      model: modelId,
      modelHeader: null,
    });
  }

  async #ask(
    { lease, context }: Leased,
    prompt: Prompt,
    { stream, tellUsed }: { readonly stream: boolean; readonly tellUsed: TellUsed },
    signal: AbortSignal,
  ): Promise<Answer> {
    const { modelId } = prompt;
    const fields = { ...this.#options.models.samplingDefaults(modelId), ...prompt.inferenceKwargs };
    const body = {
      model: lease.upstreamModel ?? modelId,
      messages: [{ role: 'user', content: prompt.prompt }],
      ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)),
      ...(stream && { stream }),
    };
    const json = JSON.stringify(body);
    const accept = stream ? 'text/event-stream' : 'application/json';
    const answer = await ask(
      context.client,
      {
        method: 'POST',
        apiBase: lease.apiBase,
        guarded: lease.guarded,
        endpoint: ENDPOINT,
        headers: ['Accept', accept, ...lease.headers],
        json,
        timeouts: lease.timeouts,
      },
      signal,
    );
    if (answer.status === 200) return metered(answer, { lease, requestBytes: json.length, tellUsed, signal });
    throw await refusalFrom(answer, lease.name);
  }
}

interface Metered {
  readonly lease: Lease;
  readonly requestBytes: number;
  readonly tellUsed: TellUsed;
  readonly signal: AbortSignal;
}

/** The answer, its usage read while its body is. Told when that ends, or at once when its reader is called off. */
function metered(answer: Answer, { lease, requestBytes, tellUsed, signal }: Metered): Answer {
  const { status, headers } = answer;
  const { prices } = lease;
  const tap = createUsageTap(headers, () => requestBytes);
  const told = (usage: Usage | null): void => {
    const tokens = usage === null ? null : usage.promptTokens + usage.completionTokens;
    tellUsed({ tokens, costUsd: costOf(prices, usage) });
  };
  let isOver = false;
  const finish = (): void => {
    signal.removeEventListener('abort', finish);
    if (isOver) return;
    isOver = true;
    if (tap === null) told(null);
    else tap.end(told);
  };
  signal.addEventListener('abort', finish, { once: true });
  async function* tapped(): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const chunk of answer.body) {
        if (!isOver) tap?.scan(chunk);
        yield chunk;
      }
    } finally {
      finish();
    }
  }
  return { status, headers, body: tapped(), close: () => answer.close() };
}

async function wholeText(answer: Answer, lease: Lease, maxBytes: number): Promise<string> {
  const body = await textOf(answer, maxBytes);
  if (body === null) throw broken(lease, `sent more than ${maxBytes} bytes (max_body_bytes)`);
  const text = textOfCompletion(parseJson(body));
  if (text === null) throw broken(lease, 'answered with something that is no chat completion');
  return text;
}

/** @throws SluiceError where the stream breaks, holds an error, or ends before its answer does */
async function* pieces(answer: Answer, lease: Lease): AsyncGenerator<string, void, undefined> {
  const parser = new EventStreamParser();
  let isComplete = false;
  const piecesIn = function* (events: readonly StreamEvent[]): Generator<string, void, undefined> {
    for (const event of events) {
      if (event.data.trim() === '[DONE]') {
        isComplete = true;
        continue;
      }
      const { text, finished } = pieceOf(event, lease);
      isComplete ||= finished;
      if (text !== '') yield text;
    }
  };
  for await (const chunk of answer.body) yield* piecesIn(eventsIn(chunk, parser, lease));
  yield* piecesIn(parser.end());
  if (!isComplete) throw broken(lease, 'ended its stream before its answer was complete');
}

function eventsIn(chunk: Buffer, parser: EventStreamParser, lease: Lease): readonly StreamEvent[] {
  try {
    return parser.push(chunk);
  } catch (cause) {
    throw broken(lease, 'sent an event that is too long', cause);
  }
}

function pieceOf(event: StreamEvent, lease: Lease): { readonly text: string; readonly finished: boolean } {
  const body = parseJson(event.data);
  if (isJsonObject(body) && (event.event === 'error' || (body.error ?? null) !== null)) {
    throw new SluiceError(
      'upstream_broken',
      errorMessage(body) ?? `The upstream ${JSON.stringify(lease.name)} failed while it answered.`,
    );
  }
  const piece = pieceOfChunk(body);
  if (piece === null) throw broken(lease, 'sent an event that is no chunk of a chat completion');
  return piece;
}

function broken(lease: Lease, what: string, cause?: unknown): SluiceError {
  return new SluiceError('upstream_broken', `The upstream ${JSON.stringify(lease.name)} ${what}.`, { cause });
}

function told(error: unknown, lease: Lease, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return error instanceof UpstreamFailure ? errorFromFailure(error, lease.name) : error;
}

function refuseUnusable({ inferenceKwargs }: Prompt): void {
  const nonFinite = placeOfNonFinite(inferenceKwargs, 'inference_kwargs');
  if (nonFinite !== null) {
    throw new SluiceError('invalid_request', `${nonFinite}: must be a finite number: JSON has no other.`, {
      param: nonFinite,
    });
  }
  const taken = OF_THE_REQUEST.filter((name) => Object.hasOwn(inferenceKwargs, name));
  const [first] = taken;
  if (first === undefined) return;
  throw new SluiceError(
    'invalid_request',
    `inference_kwargs: ${taken.join(', ')} ${taken.length === 1 ? 'is' : 'are'} set by the gateway; remove ${taken.length === 1 ? 'it' : 'them'}.`,
    { param: `inference_kwargs.${first}` },
  );
}

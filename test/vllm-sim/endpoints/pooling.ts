import { badRequest } from '../errors.ts';
import type { Exchange, JsonObject } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';
import { classifyLanguage } from '../text/language.ts';
import { embed, relevance } from '../text/similarity.ts';
import { countTokens } from '../text/tokens.ts';
import { inputTexts, textPairs, texts } from './inputs.ts';
import { required, usage } from './plan.ts';

const post = (path: string, handle: (x: Exchange, body: JsonObject) => Promise<void>): Route => ({
  methods: ['POST'],
  path,
  handle: async (exchange) => handle(exchange, await exchange.json()),
  infers: true,
});

export const poolingRoutes: readonly Route[] = [
  post('/classify', classify),
  post('/score', score),
  post('/v1/score', score),
  post('/rerank', rerank),
  post('/v1/rerank', rerank),
  post('/v2/rerank', rerank),
  post('/v1/embeddings', embeddings),
  post('/v2/embed', cohereEmbed),
  post('/pooling', pooling),
];

const DEFAULT_DIMENSIONS = 384;

/** The language of each text; the one thing this model was trained for. */
export async function classify(exchange: Exchange, body: JsonObject): Promise<void> {
  const inputs = inputTexts(body);
  const model = exchange.engine.modelFor(body.model);
  await work(exchange, 'classify', inputs, async (id) => {
    const guesses = await Promise.all(inputs.map(classifyLanguage));
    const data = guesses.map(({ label, probs }, index) => ({
      index,
      label,
      probs,
      num_classes: probs.length,
    }));
    await exchange.send(200, list(exchange, { id, model, data, texts: inputs }));
  });
}

/** Takes the pair under each of the names that vLLM knows it by. */
export async function score(exchange: Exchange, body: JsonObject): Promise<void> {
  const first = body.text_1 ?? body.data_1 ?? body.queries ?? required(body, 'text_1');
  const second = body.text_2 ?? body.data_2 ?? body.documents ?? body.items ?? required(body, 'text_2');
  const pairs = textPairs(texts(first, 'text_1'), texts(second, 'text_2'));
  const model = exchange.engine.modelFor(body.model);
  await work(exchange, 'score', pairs.flat(), async (id) => {
    const data = pairs.map(([one, other], index) => ({
      index,
      object: 'score',
      score: relevance(one, other),
    }));
    await exchange.send(200, list(exchange, { id, model, data, texts: pairs.flat() }));
  });
}

/** Jina's and Cohere's request, vLLM's answer: the documents are in it, and usage in place of billed units. */
export async function rerank(exchange: Exchange, body: JsonObject): Promise<void> {
  const [query = ''] = texts(required(body, 'query'), 'query');
  const documents = texts(required(body, 'documents'), 'documents');
  const top = typeof body.top_n === 'number' && body.top_n > 0 ? body.top_n : documents.length;
  const model = exchange.engine.modelFor(body.model);
  await work(exchange, 'rerank', [query, ...documents], async (id) => {
    const results = documents
      .map((text, index) => ({
        index,
        document: { text, multi_modal: null },
        relevance_score: relevance(query, text),
      }))
      .sort((one, other) => other.relevance_score - one.relevance_score)
      .slice(0, top);
    const tokens = documents.reduce((sum, text) => sum + countTokens(query) + countTokens(text), 0);
    await exchange.send(200, { id, model, usage: { prompt_tokens: tokens, total_tokens: tokens }, results });
  });
}

export async function embeddings(exchange: Exchange, body: JsonObject): Promise<void> {
  const inputs = inputTexts(body);
  const model = exchange.engine.modelFor(body.model);
  const dimensions = dimensionsOf(body.dimensions);
  await work(exchange, 'embd', inputs, async (id) => {
    const data = inputs.map((text, index) => {
      const vector = embed(text, dimensions);
      const embedding = body.encoding_format === 'base64' ? base64(vector) : vector;
      return { index, object: 'embedding', embedding };
    });
    await exchange.send(200, list(exchange, { id, model, data, texts: inputs }));
  });
}

/** Cohere's embed API (https://docs.cohere.com/reference/embed). */
async function cohereEmbed(exchange: Exchange, body: JsonObject): Promise<void> {
  const inputs = texts(required(body, 'texts'), 'texts');
  exchange.engine.modelFor(body.model);
  const dimensions = dimensionsOf(body.output_dimension);
  const types = Array.isArray(body.embedding_types) ? body.embedding_types : ['float'];
  await work(exchange, 'embd', inputs, async (id) => {
    const vectors = inputs.map((text) => embed(text, dimensions));
    await exchange.send(200, {
      id,
      embeddings: {
        float: types.includes('float') ? vectors : null,
        binary: null,
        ubinary: null,
        base64: types.includes('base64') ? vectors.map(base64) : null,
      },
      texts: inputs,
      meta: {
        api_version: { version: '2' },
        billed_units: { input_tokens: sumTokens(inputs), image_tokens: null },
      },
      response_type: 'embeddings_by_type',
    });
  });
}

async function pooling(exchange: Exchange, body: JsonObject): Promise<void> {
  const inputs = inputTexts(body);
  const model = exchange.engine.modelFor(body.model);
  const dimensions = dimensionsOf(body.dimensions);
  await work(exchange, 'pool', inputs, async (id) => {
    const data = inputs.map((text, index) => ({ index, object: 'pooling', data: embed(text, dimensions) }));
    await exchange.send(200, list(exchange, { id, model, data, texts: inputs }));
  });
}

/** Does `answer` as one of the engine's running requests. */
async function work(
  exchange: Exchange,
  prefix: string,
  prompts: readonly string[],
  answer: (id: string) => Promise<void>,
): Promise<void> {
  const id = `${prefix}-${await exchange.id()}`;
  await exchange.think();
  await exchange.engine.run(id, exchange.gone, async (run) => {
    for await (const _ of run.pace([{ text: '', ids: [] }], 0));
    exchange.engine.counters.countPrompt(prompts.join('\n'), sumTokens(prompts));
    exchange.engine.counters.countAnswer('stop', 0);
    await answer(id);
  });
}

function list(
  exchange: Exchange,
  what: {
    readonly id: string;
    readonly model: string;
    readonly data: object;
    readonly texts: readonly string[];
  },
): object {
  const { id, model, data } = what;
  const created = exchange.engine.nowSeconds;
  return { id, object: 'list', created, model, data, usage: usage(sumTokens(what.texts), 0) };
}

function sumTokens(all: readonly string[]): number {
  return all.reduce((sum, text) => sum + countTokens(text), 0);
}

function dimensionsOf(value: unknown): number {
  if (value === undefined || value === null) return DEFAULT_DIMENSIONS;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 4096) return value;
  throw badRequest('`dimensions` must be an integer from 1 to 4096.', 'dimensions');
}

/** 32-bit floats, little endian, as OpenAI's clients decode them. */
function base64(vector: readonly number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString('base64');
}

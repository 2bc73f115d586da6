import { invalid } from '../errors.ts';
import type { Exchange, JsonObject } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';
import { chat } from './chat.ts';
import { completion } from './completions.ts';
import { classify, embeddings, rerank, score } from './pooling.ts';

/** SageMaker's one endpoint for everything: the request's members say what is meant. */
export const invocationRoutes: readonly Route[] = [
  { methods: ['POST'], path: '/invocations', handle: invoke, infers: true },
];

async function invoke(exchange: Exchange): Promise<void> {
  const body = await exchange.json();
  await meant(body)(exchange, body);
}

function meant(body: JsonObject): (exchange: Exchange, body: JsonObject) => Promise<void> {
  if ('messages' in body) return chat;
  if ('prompt' in body) return completion;
  if ('query' in body && 'documents' in body) return rerank;
  if ('text_1' in body) return score;
  if ('input' in body) return String(body.model).includes('language-detection') ? classify : embeddings;
  throw invalid('missing', ['messages'], 'Field required');
}

import { badRequest, invalid } from '../errors.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';
import { detokenize, tokenize, VOCABULARY_SIZE } from '../text/tokens.ts';
import { MAX_MODEL_LEN } from './models.ts';
import { promptOf, required } from './plan.ts';

export const tokenizerRoutes: readonly Route[] = [
  { methods: ['POST'], path: '/tokenize', handle: tokenizeText },
  { methods: ['POST'], path: '/detokenize', handle: detokenizeIds },
  { methods: ['GET'], path: '/tokenizer_info', handle: info },
];

async function tokenizeText(exchange: Exchange): Promise<void> {
  const body = await exchange.json();
  exchange.engine.modelFor(body.model);
  const prompt = body.messages === undefined ? String(required(body, 'prompt')) : promptOf(body.messages);
  const tokens = tokenize(prompt);
  const ids = tokens.flatMap((token) => token.ids);
  // A character of four bytes is four tokens, of which the last one shows it.
  const strings = tokens.flatMap(({ text, ids }) => [...new Array<string>(ids.length - 1).fill(''), text]);
  await exchange.send(200, {
    count: ids.length,
    max_model_len: MAX_MODEL_LEN,
    tokens: ids,
    token_strs: body.return_token_strs === true ? strings : null,
  });
}

async function detokenizeIds(exchange: Exchange): Promise<void> {
  const body = await exchange.json();
  exchange.engine.modelFor(body.model);
  const ids = required(body, 'tokens');
  if (!Array.isArray(ids)) throw invalid('list_type', ['tokens'], 'Input should be a valid list');
  const wrong = ids.findIndex((id) => !Number.isInteger(id) || id < 0);
  if (wrong !== -1) throw invalid('int_type', ['tokens', wrong], 'Input should be a valid integer');
  if (ids.some((id) => id >= VOCABULARY_SIZE)) throw badRequest('Token id is out of vocabulary');
  await exchange.send(200, { prompt: detokenize(ids) });
}

async function info(exchange: Exchange): Promise<void> {
  await exchange.send(200, {
    tokenizer_class: 'SimulatedTokenizer',
    model_max_length: MAX_MODEL_LEN,
    vocab_size: VOCABULARY_SIZE,
    chat_template: null,
  });
}

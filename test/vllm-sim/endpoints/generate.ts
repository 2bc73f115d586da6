import { badRequest, invalid } from '../errors.ts';
import { type Exchange, isObject, type JsonObject } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';
import { EventStream } from '../http/sse.ts';
import { relevance } from '../text/similarity.ts';
import { countTokens, detokenize } from '../text/tokens.ts';
import { texts } from './inputs.ts';
import { planAnswer, required, usage, wantsUsage } from './plan.ts';

/** Tokens in, tokens out; and scores made with a generative model. */
export const generateRoutes: readonly Route[] = [
  { methods: ['POST'], path: '/inference/v1/generate', handle: generate, infers: true },
  { methods: ['POST'], path: '/generative_scoring', handle: generativeScoring, infers: true },
];

async function generate(exchange: Exchange): Promise<void> {
  const body = await exchange.json();
  const ids = required(body, 'token_ids');
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'number'))
    throw invalid('list_type', ['token_ids'], 'Input should be a valid list');
  const sampling = required(body, 'sampling_params');
  const plan = planAnswer(detokenize(ids), isObject(sampling) ? sampling : {});
  const model = exchange.engine.modelFor(body.model);
  const base = await exchange.id();
  const requestId = typeof body.request_id === 'string' ? body.request_id : base;
  const choice = (token_ids: readonly number[], finish: string | null) => ({
    index: 0,
    logprobs: null,
    finish_reason: finish,
    token_ids,
  });
  await exchange.engine.run(`generate-tokens-${requestId}`, exchange.gone, async (run) => {
    exchange.engine.counters.countPrompt(plan.prompt, ids.length);
    exchange.engine.counters.countAnswer(plan.finishReason, plan.tokens.length);
    if (body.stream !== true) {
      const all = plan.tokens.flatMap((token) => token.ids);
      await exchange.send(200, {
        request_id: requestId,
        id: run.id,
        created: exchange.engine.nowSeconds,
        model,
        choices: [choice(all, plan.finishReason)],
        usage: usage(ids.length, plan.tokens.length),
        prompt_logprobs: null,
        kv_transfer_params: null,
      });
      return;
    }
    run.finishReason = plan.finishReason;
    const events = await EventStream.open(exchange);
    let sent = 0;
    for await (const token of run.pace(plan.tokens, exchange.intervalMs)) {
      sent += 1;
      const finish = sent === plan.tokens.length ? run.finishReason : null;
      await events.event({ request_id: requestId, choices: [choice(token.ids, finish)] });
    }
    if (wantsUsage(body))
      await events.event({ request_id: requestId, choices: [], usage: usage(ids.length, sent) });
    await events.done();
    await events.close();
  });
}

/** The probability of the first label token behind query and item; here, how well the two fit together. */
async function generativeScoring(exchange: Exchange): Promise<void> {
  const body: JsonObject = await exchange.json();
  const [query = ''] = texts(required(body, 'query'), 'query');
  const items = texts(required(body, 'items'), 'items');
  const labels = required(body, 'label_token_ids');
  if (!Array.isArray(labels) || labels.length === 0)
    throw badRequest('label_token_ids must contain at least one token ID.');
  if (items.length === 0) throw badRequest('items must contain at least one item.');
  const promptTokens = items.reduce((sum, item) => sum + countTokens(query) + countTokens(item), 0);
  await exchange.send(200, {
    id: `generative-scoring-${await exchange.id()}`,
    object: 'list',
    created: exchange.engine.nowSeconds,
    model: exchange.engine.modelFor(body.model),
    data: items.map((item, index) => ({ index, object: 'score', score: relevance(query, item) })),
    usage: usage(promptTokens, 0),
  });
}

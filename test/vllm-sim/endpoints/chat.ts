import { invalid } from '../errors.ts';
import type { Exchange, JsonObject } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';
import { EventStream } from '../http/sse.ts';
import {
  count,
  type Plan,
  planAnswer,
  promptOf,
  required,
  textOf,
  usage,
  wantsContinuousUsage,
  wantsUsage,
} from './plan.ts';

export const chatRoutes: readonly Route[] = [
  {
    methods: ['POST'],
    path: '/v1/chat/completions',
    handle: async (x) => chat(x, await x.json()),
    infers: true,
  },
  { methods: ['POST'], path: '/v1/chat/completions/batch', handle: batch, infers: true },
];

export async function chat(exchange: Exchange, body: JsonObject): Promise<void> {
  const plan = planAnswer(promptOf(body.messages), body);
  const model = exchange.engine.modelFor(body.model);
  const id = `chatcmpl-${await exchange.id()}`;
  await exchange.think();
  if (body.stream === true) await streamChat(exchange, { body, plan, model, id });
  else await answerChat(exchange, { plans: new Array<Plan>(count(body, 'n')).fill(plan), model, id });
}

/** Several conversations in one request, one choice for each. */
async function batch(exchange: Exchange): Promise<void> {
  const body = await exchange.json();
  const conversations = required(body, 'messages');
  if (!Array.isArray(conversations)) throw invalid('list_type', ['messages'], 'Input should be a valid list');
  const plans = conversations.map((messages) => planAnswer(promptOf(messages), body));
  const model = exchange.engine.modelFor(body.model);
  await answerChat(exchange, { plans, model, id: `chatcmpl-${await exchange.id()}` });
}

async function answerChat(
  exchange: Exchange,
  what: { readonly plans: readonly Plan[]; readonly model: string; readonly id: string },
): Promise<void> {
  const { plans, model, id } = what;
  const { counters } = exchange.engine;
  await exchange.engine.run(id, exchange.gone, async (run) => {
    // Nothing is paced where nothing is streamed, but a paused engine does not answer.
    for await (const _ of run.pace(plans[0]?.tokens.slice(0, 1) ?? [], 0));
    for (const plan of plans) counters.countPrompt(plan.prompt, plan.promptTokens);
    for (const plan of plans) counters.countAnswer(plan.finishReason, plan.tokens.length);
    const choices = plans.map((plan, index) => ({
      index,
      message: {
        role: 'assistant',
        content: textOf(plan.tokens),
        refusal: null,
        annotations: null,
        audio: null,
        function_call: null,
        reasoning: null,
      },
      logprobs: null,
      finish_reason: plan.finishReason,
      stop_reason: null,
      token_ids: null,
    }));
    const prompts = new Set(plans);
    await exchange.send(200, {
      id,
      object: 'chat.completion',
      created: exchange.engine.nowSeconds,
      model,
      choices,
      service_tier: null,
      system_fingerprint: null,
      usage: usage(
        [...prompts].reduce((sum, plan) => sum + plan.promptTokens, 0),
        plans.reduce((sum, plan) => sum + plan.tokens.length, 0),
      ),
      prompt_logprobs: null,
      prompt_token_ids: null,
      kv_transfer_params: null,
    });
  });
}

async function streamChat(
  exchange: Exchange,
  what: { readonly body: JsonObject; readonly plan: Plan; readonly model: string; readonly id: string },
): Promise<void> {
  const { body, plan, model, id } = what;
  const { engine } = exchange;
  const created = engine.nowSeconds;
  const indexes = Array.from({ length: count(body, 'n') }, (_, index) => index);
  await engine.run(id, exchange.gone, async (run) => {
    const events = await EventStream.open(exchange);
    let sent = 0;
    const send = (choices: readonly object[], withUsage: boolean) =>
      events.event({
        id,
        object: 'chat.completion.chunk',
        created,
        model,
        choices,
        ...(withUsage ? { usage: usage(plan.promptTokens, sent * indexes.length) } : {}),
      });
    const all = (delta: object, finish: string | null) =>
      indexes.map((index) => ({
        index,
        delta,
        logprobs: null,
        finish_reason: finish,
        ...(finish === null ? {} : { stop_reason: null }),
      }));
    const continuous = wantsContinuousUsage(body);
    engine.counters.countPrompt(plan.prompt, plan.promptTokens);
    await send(all({ role: 'assistant', content: '' }, null), continuous);
    run.finishReason = plan.finishReason;
    for await (const token of run.pace(plan.tokens, exchange.intervalMs)) {
      sent += 1;
      await send(all({ content: token.text }, null), continuous);
    }
    await send(all({ content: '' }, run.finishReason), continuous);
    engine.counters.countAnswer(run.finishReason, sent);
    if (wantsUsage(body)) await send([], true);
    await events.done();
    await events.close();
  });
}

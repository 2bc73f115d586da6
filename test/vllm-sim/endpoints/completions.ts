import { invalid } from '../errors.ts';
import type { Exchange, JsonObject } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';
import { EventStream } from '../http/sse.ts';
import { detokenize } from '../text/tokens.ts';
import { count, type Plan, planAnswer, required, textOf, usage, wantsUsage } from './plan.ts';

export const completionRoutes: readonly Route[] = [
  {
    methods: ['POST'],
    path: '/v1/completions',
    handle: async (x) => completion(x, await x.json()),
    infers: true,
  },
];

export async function completion(exchange: Exchange, body: JsonObject): Promise<void> {
  const plans = promptsOf(required(body, 'prompt')).flatMap((prompt) =>
    new Array<Plan>(count(body, 'n')).fill(planAnswer(prompt, body)),
  );
  const model = exchange.engine.modelFor(body.model);
  const id = `cmpl-${await exchange.id()}`;
  await exchange.think();
  const head = { id, object: 'text_completion', created: exchange.engine.nowSeconds, model };
  if (body.stream === true) await stream(exchange, head, { plans, body });
  else await answer(exchange, head, { plans, body });
}

/** A prompt is a text, token ids, or a list of either. */
function promptsOf(prompt: unknown): string[] {
  if (typeof prompt === 'string') return [prompt];
  if (Array.isArray(prompt) && prompt.every((one) => typeof one === 'string')) return prompt;
  if (Array.isArray(prompt) && prompt.every((one) => typeof one === 'number')) return [detokenize(prompt)];
  if (Array.isArray(prompt)) return prompt.flatMap(promptsOf);
  throw invalid('string_type', ['prompt'], 'Input should be a valid string');
}

interface Work {
  readonly plans: readonly Plan[];
  readonly body: JsonObject;
}

async function answer(exchange: Exchange, head: { readonly id: string }, work: Work): Promise<void> {
  const { counters } = exchange.engine;
  await exchange.engine.run(head.id, exchange.gone, async (run) => {
    for await (const _ of run.pace(work.plans[0]?.tokens.slice(0, 1) ?? [], 0));
    for (const plan of work.plans) counters.countPrompt(plan.prompt, plan.promptTokens);
    for (const plan of work.plans) counters.countAnswer(plan.finishReason, plan.tokens.length);
    await exchange.send(200, {
      ...head,
      choices: work.plans.map((plan, index) => ({
        index,
        text: (work.body.echo === true ? plan.prompt : '') + textOf(plan.tokens),
        logprobs: null,
        finish_reason: plan.finishReason,
        stop_reason: null,
        token_ids: null,
        prompt_logprobs: null,
        prompt_token_ids: null,
      })),
      service_tier: null,
      system_fingerprint: null,
      usage: totalUsage(work.plans),
      kv_transfer_params: null,
    });
  });
}

/** The choices one behind the other; a client tells them apart by `index`, as it must with vLLM's mixed ones. */
async function stream(exchange: Exchange, head: { readonly id: string }, work: Work): Promise<void> {
  await exchange.engine.run(head.id, exchange.gone, async (run) => {
    const events = await EventStream.open(exchange);
    const choice = (index: number, text: string, finish: string | null) => ({
      index,
      text,
      logprobs: null,
      finish_reason: finish,
      stop_reason: null,
    });
    for (const [index, plan] of work.plans.entries()) {
      exchange.engine.counters.countPrompt(plan.prompt, plan.promptTokens);
      run.finishReason = plan.finishReason;
      let sent = 0;
      for await (const token of run.pace(plan.tokens, exchange.intervalMs)) {
        sent += 1;
        const last = sent === plan.tokens.length;
        const choices = [choice(index, token.text, last ? run.finishReason : null)];
        await events.event({ ...head, choices, usage: null });
      }
      if (sent < plan.tokens.length || sent === 0)
        await events.event({ ...head, choices: [choice(index, '', run.finishReason)], usage: null });
      exchange.engine.counters.countAnswer(run.finishReason, sent);
    }
    if (wantsUsage(work.body)) await events.event({ ...head, choices: [], usage: totalUsage(work.plans) });
    await events.done();
    await events.close();
  });
}

function totalUsage(plans: readonly Plan[]): object {
  return usage(
    [...new Set(plans)].reduce((sum, plan) => sum + plan.promptTokens, 0),
    plans.reduce((sum, plan) => sum + plan.tokens.length, 0),
  );
}

import type { Run } from '../engine/run.ts';
import type { Exchange, JsonObject } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';
import { EventStream } from '../http/sse.ts';
import { countTokens } from '../text/tokens.ts';
import { contentText, type Plan, planAnswer, promptOf, required, textOf } from './plan.ts';

/** The Messages API of Anthropic, as vLLM serves it (https://docs.anthropic.com/en/api/messages). */
export const messageRoutes: readonly Route[] = [
  { methods: ['POST'], path: '/v1/messages', handle: messages, infers: true, anthropicErrors: true },
  { methods: ['POST'], path: '/v1/messages/count_tokens', handle: countMessageTokens, anthropicErrors: true },
];

const STOP_REASONS = { stop: 'end_turn', length: 'max_tokens', abort: 'end_turn' } as const;

async function messages(exchange: Exchange): Promise<void> {
  const body = await exchange.json();
  const plan = planAnswer(promptOf(required(body, 'messages')), body);
  required(body, 'max_tokens');
  const model = exchange.engine.modelFor(required(body, 'model'));
  const id = `chatcmpl-${await exchange.id()}`;
  const inputTokens = plan.promptTokens + countTokens(contentText(body.system));
  await exchange.think();
  const { counters } = exchange.engine;
  await exchange.engine.run(id, exchange.gone, async (run) => {
    counters.countPrompt(plan.prompt, inputTokens);
    run.finishReason = plan.finishReason;
    if (body.stream === true) {
      const sent = await stream(exchange, { plan, model, id, inputTokens }, run);
      counters.countAnswer(run.finishReason, sent);
      return;
    }
    for await (const _ of run.pace(plan.tokens.slice(0, 1), 0));
    counters.countAnswer(run.finishReason, plan.tokens.length);
    await exchange.send(200, {
      id,
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: textOf(plan.tokens) }],
      model,
      stop_reason: STOP_REASONS[run.finishReason],
      usage: { input_tokens: inputTokens, output_tokens: plan.tokens.length },
    });
  });
}

async function stream(
  exchange: Exchange,
  what: { readonly plan: Plan; readonly model: string; readonly id: string; readonly inputTokens: number },
  run: Run,
): Promise<number> {
  const events = await EventStream.open(exchange);
  const send = (type: string, more: JsonObject) => events.event({ type, ...more }, type);
  const { model, id, inputTokens } = what;
  await send('message_start', {
    message: {
      id,
      type: 'message',
      role: 'assistant',
      content: [],
      model,
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: inputTokens, output_tokens: 0 },
    },
  });
  await send('content_block_start', { index: 0, content_block: { type: 'text', text: '' } });
  let sent = 0;
  for await (const token of run.pace(what.plan.tokens, exchange.intervalMs)) {
    sent += 1;
    await send('content_block_delta', { index: 0, delta: { type: 'text_delta', text: token.text } });
  }
  await send('content_block_stop', { index: 0 });
  await send('message_delta', {
    delta: { stop_reason: STOP_REASONS[run.finishReason], stop_sequence: null },
    usage: { input_tokens: inputTokens, output_tokens: sent },
  });
  await send('message_stop', {});
  // vLLM makes its messages out of a chat stream, whose end mark it leaves in.
  await events.done();
  await events.close();
  return sent;
}

async function countMessageTokens(exchange: Exchange): Promise<void> {
  const body = await exchange.json();
  const tokens = countTokens(promptOf(required(body, 'messages'))) + countTokens(contentText(body.system));
  exchange.engine.modelFor(required(body, 'model'));
  await exchange.send(200, { input_tokens: tokens, context_management: { original_input_tokens: tokens } });
}

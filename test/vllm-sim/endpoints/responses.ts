import type { Engine } from '../engine/engine.ts';
import type { Run } from '../engine/run.ts';
import { badRequest, notFound } from '../errors.ts';
import type { Exchange, JsonObject } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';
import { EventStream } from '../http/sse.ts';
import { type Plan, planAnswer, promptOf, required, textOf } from './plan.ts';

/** The Responses API; what is stored lives as long as the server. */
export const responseRoutes: readonly Route[] = [
  { methods: ['POST'], path: '/v1/responses', handle: create, infers: true },
  { methods: ['GET'], path: '/v1/responses/{}', handle: retrieve },
  { methods: ['POST'], path: '/v1/responses/{}/cancel', handle: cancel },
];

interface Stored {
  status: 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'cancelled';
  readonly background: boolean;
  readonly stop: AbortController;
  view: () => object;
}

const STORES = new WeakMap<Engine, Map<string, Stored>>();

function storeOf(engine: Engine): Map<string, Stored> {
  const store = STORES.get(engine) ?? new Map<string, Stored>();
  STORES.set(engine, store);
  return store;
}

async function create(exchange: Exchange): Promise<void> {
  const body = await exchange.json();
  const input = required(body, 'input');
  const plan = planAnswer(typeof input === 'string' ? input : promptOf(input, 'input'), body);
  const model = exchange.engine.modelFor(body.model);
  const id = `resp_${await exchange.id()}`;
  await exchange.think();
  const stored: Stored = {
    status: body.background === true ? 'queued' : 'in_progress',
    background: body.background === true,
    stop: new AbortController(),
    view: () => ({}),
  };
  const createdAt = exchange.engine.nowSeconds;
  stored.view = () => responseObject({ id, model, createdAt, body, plan, status: stored.status });
  if (body.store !== false) storeOf(exchange.engine).set(id, stored);
  if (stored.background) {
    const answer = stored.view();
    void generate(exchange, { id, plan, stored }, stored.stop.signal).catch(() => {});
    await exchange.send(200, answer);
  } else if (body.stream === true) {
    await stream(exchange, { id, plan, stored });
  } else {
    await generate(exchange, { id, plan, stored }, exchange.gone);
    await exchange.send(200, stored.view());
  }
}

interface Work {
  readonly id: string;
  readonly plan: Plan;
  readonly stored: Stored;
}

async function generate(exchange: Exchange, work: Work, gone: AbortSignal): Promise<void> {
  const { plan, stored } = work;
  await exchange.engine.run(work.id, gone, async (run) => {
    stored.status = 'in_progress';
    // In the background, an answer takes the time that it would take as a stream.
    for await (const _ of run.pace(plan.tokens, stored.background ? exchange.intervalMs : 0));
    finish(exchange.engine, work, run);
  });
}

function finish(engine: Engine, { plan, stored }: Work, run: Run): void {
  engine.counters.countPrompt(plan.prompt, plan.promptTokens);
  engine.counters.countAnswer(plan.finishReason, plan.tokens.length);
  if (run.finishReason === 'abort') stored.status = 'cancelled';
  else stored.status = plan.finishReason === 'length' ? 'incomplete' : 'completed';
}

async function stream(exchange: Exchange, work: Work): Promise<void> {
  const { id, plan, stored } = work;
  await exchange.engine.run(id, exchange.gone, async (run) => {
    const events = await EventStream.open(exchange);
    let sequence = 0;
    const send = (type: string, more: object) =>
      events.event({ ...more, sequence_number: sequence++, type }, type);
    const place = { content_index: 0, item_id: messageId(id), output_index: 0 };
    const item = (text: string | null) => ({
      id: messageId(id),
      content: text === null ? [] : [outputText(text)],
      role: 'assistant',
      status: text === null ? 'in_progress' : 'completed',
      type: 'message',
    });
    await send('response.created', { response: stored.view() });
    await send('response.in_progress', { response: stored.view() });
    await send('response.output_item.added', { item: item(null), output_index: 0 });
    await send('response.content_part.added', { ...place, part: outputText('') });
    let text = '';
    for await (const token of run.pace(plan.tokens, exchange.intervalMs)) {
      text += token.text;
      await send('response.output_text.delta', { ...place, delta: token.text, logprobs: [] });
    }
    await send('response.output_text.done', { ...place, text, logprobs: [] });
    await send('response.content_part.done', { ...place, part: outputText(text) });
    await send('response.output_item.done', { item: item(text), output_index: 0 });
    finish(exchange.engine, work, run);
    await send('response.completed', { response: stored.view() });
    await events.close();
  });
}

async function retrieve(exchange: Exchange): Promise<void> {
  await exchange.send(200, lookUp(exchange).view());
}

async function cancel(exchange: Exchange): Promise<void> {
  const stored = lookUp(exchange);
  if (!stored.background) throw badRequest('Cannot cancel a synchronous response.', 'response_id');
  if (stored.status === 'queued' || stored.status === 'in_progress') {
    stored.status = 'cancelled';
    stored.stop.abort();
  }
  await exchange.send(200, stored.view());
}

function lookUp(exchange: Exchange): Stored {
  const id = exchange.params[0] ?? '';
  const stored = storeOf(exchange.engine).get(id);
  if (stored === undefined) throw notFound(`Response with id '${id}' not found.`, 'response_id');
  return stored;
}

function messageId(responseId: string): string {
  return responseId.replace(/^resp_/, 'msg_');
}

function outputText(text: string): object {
  return { annotations: [], text, type: 'output_text', logprobs: [] };
}

function responseObject(what: {
  readonly id: string;
  readonly model: string;
  readonly createdAt: number;
  readonly body: JsonObject;
  readonly plan: Plan;
  readonly status: Stored['status'];
}): object {
  const { id, body, plan, status } = what;
  const done = status === 'completed' || status === 'incomplete';
  const message = {
    id: messageId(id),
    content: [outputText(textOf(plan.tokens))],
    role: 'assistant',
    status: 'completed',
    type: 'message',
  };
  return {
    id,
    created_at: what.createdAt,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: body.instructions ?? null,
    metadata: body.metadata ?? null,
    model: what.model,
    object: 'response',
    output: done ? [message] : [],
    parallel_tool_calls: true,
    temperature: body.temperature ?? 1,
    tool_choice: 'auto',
    tools: [],
    top_p: body.top_p ?? 1,
    background: body.background === true,
    max_output_tokens: body.max_output_tokens ?? 32_768,
    previous_response_id: body.previous_response_id ?? null,
    service_tier: 'auto',
    status,
    truncation: 'disabled',
    usage: done
      ? {
          input_tokens: plan.promptTokens,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: plan.tokens.length,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: plan.promptTokens + plan.tokens.length,
        }
      : null,
    user: body.user ?? null,
  };
}

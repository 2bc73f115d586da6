import { invalid } from '../errors.ts';
import { isObject, type JsonObject } from '../http/exchange.ts';
import { answerTo } from '../text/answers.ts';
import { countTokens, type Token, tokenize } from '../text/tokens.ts';

/** What a request will be answered with, before the first token is sent. */
export interface Plan {
  readonly prompt: string;
  readonly promptTokens: number;
  readonly tokens: readonly Token[];
  /** `length` when the limit cuts the answer off. */
  readonly finishReason: 'stop' | 'length';
}

/**
 * Heeds `max_tokens` (under each of its names), `min_tokens`, `ignore_eos` (exactly as many tokens as allowed:
 * the way to ask for an answer of a given length) and `stop`.
 */
export function planAnswer(prompt: string, body: JsonObject): Plan {
  const limit = firstNumber(body, ['max_completion_tokens', 'max_output_tokens', 'max_tokens']);
  const exact = body.ignore_eos === true ? (limit ?? 16) : null;
  const least = exact ?? firstNumber(body, ['min_tokens']) ?? 0;
  const answer = tokenize(beforeStop(answerTo(prompt), body.stop ?? body.stop_sequences));
  const said = answer.slice(0, exact ?? answer.length);
  while (said.length < least) said.push(...tokenize(' '), ...answer.slice(0, least - said.length - 1));
  const tokens = said.slice(0, limit ?? said.length);
  const cut = tokens.length < said.length || exact !== null;
  return { prompt, promptTokens: countTokens(prompt), tokens, finishReason: cut ? 'length' : 'stop' };
}

export function textOf(tokens: readonly Token[]): string {
  return tokens.map((token) => token.text).join('');
}

/** Usage as the OpenAI endpoints report it, in vLLM's order of members. */
export function usage(promptTokens: number, completionTokens: number): object {
  return {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens,
    prompt_tokens_details: null,
  };
}

/** The text to answer in a list of chat messages: the last one of the user. */
export function promptOf(messages: unknown, place = 'messages'): string {
  if (messages === undefined) throw invalid('missing', [place], 'Field required');
  if (!Array.isArray(messages)) throw invalid('list_type', [place], 'Input should be a valid list');
  const asked = messages
    .filter(isObject)
    .findLast((message) => message.role === 'user' || message.role === undefined);
  return contentText(asked?.content);
}

/** The text of a message: a string, or the text parts of a list. */
export function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .filter(isObject)
    .map((part) => (typeof part.text === 'string' ? part.text : ''))
    .join(' ');
}

export function required(body: JsonObject, name: string): unknown {
  const value = body[name];
  if (value === undefined) throw invalid('missing', [name], 'Field required');
  return value;
}

export function wantsUsage(body: JsonObject): boolean {
  return isObject(body.stream_options) && body.stream_options.include_usage === true;
}

/** Usage on every chunk, not on the last alone. */
export function wantsContinuousUsage(body: JsonObject): boolean {
  return isObject(body.stream_options) && body.stream_options.continuous_usage_stats === true;
}

export function count(body: JsonObject, name: string): number {
  return firstNumber(body, [name]) ?? 1;
}

function firstNumber(body: JsonObject, names: readonly string[]): number | null {
  for (const name of names) {
    const value = body[name];
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  }
  return null;
}

function beforeStop(text: string, stop: unknown): string {
  const stops = (Array.isArray(stop) ? stop : [stop]).filter((one) => typeof one === 'string' && one !== '');
  const ends = stops.map((one) => text.indexOf(String(one))).filter((at) => at !== -1);
  return ends.length === 0 ? text : text.slice(0, Math.min(...ends));
}

import { badRequest, invalid } from '../errors.ts';
import { isObject, type JsonObject } from '../http/exchange.ts';
import { detokenize } from '../text/tokens.ts';
import { contentText, promptOf } from './plan.ts';

/** The texts of a pooling request: `input` (a text, token ids, or a list of either) or chat `messages`. */
export function inputTexts(body: JsonObject): string[] {
  if (body.input !== undefined) return texts(body.input, 'input');
  if (body.messages !== undefined) return [promptOf(body.messages)];
  throw invalid('missing', ['input'], 'Field required');
}

export function texts(value: unknown, place: string): string[] {
  if (typeof value === 'string') return [value];
  if (isObject(value)) return [typeof value.text === 'string' ? value.text : contentText(value.content)];
  if (!Array.isArray(value)) throw invalid('string_type', [place], 'Input should be a valid string');
  if (value.length > 0 && value.every((one) => typeof one === 'number')) return [detokenize(value)];
  return value.flatMap((one) => texts(one, place));
}

/** Two lists to be compared: of one length, or the first of length 1. @throws ApiError 400 otherwise. */
export function textPairs(first: readonly string[], second: readonly string[]): [string, string][] {
  const [only = ''] = first;
  if (first.length === 1) return second.map((text) => [only, text]);
  if (first.length !== second.length) throw badRequest('Input lengths must be either 1:1, 1:N or N:N');
  return first.map((text, index) => [text, second[index] ?? '']);
}

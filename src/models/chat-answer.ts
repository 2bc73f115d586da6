import { isJsonObject } from './json.ts';

/** The text of the first choice of a chat completion, empty where the model said nothing; null: it is none. */
export function textOfCompletion(body: unknown): string | null {
  const choice = firstChoice(body);
  if (choice === null || !isJsonObject(choice.message)) return null;
  return textOfContent(choice.message.content);
}

/** What one event of a streamed chat completion brings. */
export interface Piece {
  readonly text: string;
  /** The first choice is complete. */
  readonly finished: boolean;
}

/** Null: it is no chunk of a chat completion. */
export function pieceOfChunk(body: unknown): Piece | null {
  if (!isJsonObject(body) || !Array.isArray(body.choices)) return null;
  const choice = firstChoice(body);
  // The last event counts tokens and has no choice; with `n` above 1 the others' events come in between.
  if (choice === null) return { text: '', finished: false };
  const text = isJsonObject(choice.delta) ? textOfContent(choice.delta.content) : '';
  return { text, finished: typeof choice.finish_reason === 'string' };
}

function firstChoice(body: unknown): Readonly<Record<string, unknown>> | null {
  if (!isJsonObject(body) || !Array.isArray(body.choices)) return null;
  const choices: readonly unknown[] = body.choices;
  return choices.filter(isJsonObject).find(({ index }) => index === undefined || index === 0) ?? null;
}

/** A text, null, or (Mistral's reasoning models) a list of parts, of which some are text. */
function textOfContent(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  const parts: readonly unknown[] = content;
  return parts.map((part) => (isJsonObject(part) && typeof part.text === 'string' ? part.text : '')).join('');
}

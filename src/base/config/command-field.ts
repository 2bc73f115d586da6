import * as z from 'zod';

interface About {
  readonly description: string;
  readonly default?: string;
}

const MUST_BE = 'must be a command like "vllm", or a list of its words';

/** A program and its first arguments: a text that is split as a shell would, without one, or a list of the words. */
export function command(about: About) {
  return z
    .union([z.string(), z.array(z.string())], { error: MUST_BE })
    .transform((value, context): readonly string[] => {
      const words = typeof value === 'string' ? splitCommand(value) : value;
      const problem = typeof words === 'string' ? words : wordsProblem(words);
      if (problem === null && typeof words !== 'string') return words;
      context.addIssue(problem ?? MUST_BE);
      return z.NEVER;
    })
    .meta({ ...about });
}

function wordsProblem(words: readonly string[]): string | null {
  if (words[0] === undefined || words[0].trim() === '') return 'names no program';
  // No program can be given one: an argument ends there.
  return words.some((word) => word.includes('\0')) ? 'has a NUL character in it' : null;
}

/**
 * A piece of a word by POSIX (Shell Command Language, 2.2 Quoting): a run in single quotes, a run in double quotes,
 * an escaped character, or plain characters.
 */
const PIECE = /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])|([^\s'"\\]+)/y;
/** What a shell would act on, unquoted; nobody does here, so that such a command would be run wrongly. */
const PLAIN_MEANING = /[|&;<>()$`*?[]/;
const BEGINNING_MEANING = /^[~#]/;

/**
 * The words of a command, split and unquoted as a POSIX shell does it; a text says what stands in the way. What a
 * shell would expand or run (`$HOME`, `~`, `|`, `*`) is refused unless it is quoted: no shell ever sees it.
 */
export function splitCommand(command: string): readonly string[] | string {
  const words: string[] = [];
  let word: string | null = null;
  let at = 0;
  while (at < command.length) {
    PIECE.lastIndex = at;
    const piece = PIECE.exec(command);
    if (piece === null) {
      const character = command.charAt(at);
      if (!/\s/.test(character)) {
        return character === '\\'
          ? 'ends in a backslash'
          : `has a quotation mark (${character}) without its other`;
      }
      if (word !== null) words.push(word);
      word = null;
      at += 1;
      continue;
    }
    const [whole, single, double, escaped, plain] = piece;
    const acting =
      double === undefined
        ? (PLAIN_MEANING.exec(plain ?? '') ?? (word === null ? BEGINNING_MEANING.exec(plain ?? '') : null))
        : /[$`]/.exec(double.replaceAll(/\\[\s\S]/g, ''));
    if (acting !== null) {
      return `has a ${acting[0]} that a shell would act on, and none reads this; write a list of the words`;
    }
    // A backslash before a line's end joins the lines; inside double quotes it escapes $ ` " \ alone.
    const text: string =
      double?.replaceAll(/\\([$`"\\])|\\\n/g, '$1') ??
      single ??
      (escaped === '\n' ? '' : (escaped ?? plain ?? ''));
    word = (word ?? '') + text;
    at += whole.length;
  }
  if (word !== null) words.push(word);
  return words;
}

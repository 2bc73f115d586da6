import { lexiconShares, markedLanguages, swahiliShare } from './lexicon.ts';

/**
 * The classes of papluca/xlm-roberta-base-language-detection, in the order of its `id2label`
 * (https://huggingface.co/papluca/xlm-roberta-base-language-detection/blob/main/config.json).
 */
export const LANGUAGES = [
  'ja',
  'nl',
  'ar',
  'pl',
  'de',
  'it',
  'pt',
  'tr',
  'es',
  'hi',
  'el',
  'ur',
  'bg',
  'en',
  'fr',
  'zh',
  'ru',
  'th',
  'sw',
  'vi',
] as const;

export interface LanguageGuess {
  readonly label: string;
  /** One probability a class, in the order of `LANGUAGES`; they sum to 1. */
  readonly probs: readonly number[];
}

/** How sure the softmax is: a lead of 0.2 in evidence becomes a lead of e^4 in probability. */
const SHARPNESS = 20;
const LEXICON_WEIGHT = 0.6;
const MARK_WEIGHT = 0.3;
const SWAHILI_WEIGHT = 0.8;
const SCRIPT_WEIGHT = 1;

/** Scripts that only one class is written in. Arabic, Latin, Cyrillic and Han alone decide nothing. */
const SCRIPTS: readonly (readonly [language: string, letters: RegExp])[] = [
  ['el', /\p{Script=Greek}/gu],
  ['hi', /\p{Script=Devanagari}/gu],
  ['th', /\p{Script=Thai}/gu],
  ['ja', /[\p{Script=Hiragana}\p{Script=Katakana}]/gu],
];

/**
 * Says in which of the twenty languages a text is written, from the n-grams of `eld` (which knows all of them
 * but Swahili), a list of frequent words, and the script.
 */
export async function classifyLanguage(text: string): Promise<LanguageGuess> {
  const evidence = new Map<string, number>(Object.entries(await ngramScores(text)));
  const add = (language: string, amount: number) =>
    evidence.set(language, (evidence.get(language) ?? 0) + amount);
  const lower = text.toLowerCase();
  const words = lower.match(/[\p{L}\p{M}]+/gu) ?? [];
  for (const [language, share] of lexiconShares(words)) add(language, share * LEXICON_WEIGHT);
  for (const language of markedLanguages(lower)) add(language, MARK_WEIGHT);
  add('sw', swahiliShare(words) * SWAHILI_WEIGHT);
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  if (letters > 0) {
    const shares = SCRIPTS.map(([language, script]) => [language, count(text, script) / letters] as const);
    for (const [language, share] of shares) add(language, Math.min(1, share) * SCRIPT_WEIGHT);
    const han = count(text, /\p{Script=Han}/gu) / letters;
    const kana = count(text, /[\p{Script=Hiragana}\p{Script=Katakana}]/gu);
    add(kana === 0 ? 'zh' : 'ja', han * SCRIPT_WEIGHT);
  }
  // A text that says nothing ("123") is called English, without much conviction.
  add('en', 0.02);
  const probs = softmax(LANGUAGES.map((language) => evidence.get(language) ?? 0));
  return { label: LANGUAGES[probs.indexOf(Math.max(...probs))] ?? 'en', probs };
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

function softmax(evidence: readonly number[]): number[] {
  const top = Math.max(...evidence);
  const weights = evidence.map((value) => Math.exp((value - top) * SHARPNESS));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Loaded on first use: the n-gram table takes 0.2 s and 37 MB, which most tests have no use for. */
async function ngramScores(text: string): Promise<Record<string, number>> {
  const { eld } = await import('eld/extrasmall');
  return eld.detect(text).getScores();
}

/**
 * What stands in for a cross-encoder: how well a document answers a query, 0 to 1. It is the share of the
 * query's content words, weighted by how telling they are, that the document has, and of its word pairs, which
 * tells "the capital of the United States" from a text with the same words in other places.
 */
export function relevance(query: string, document: string): number {
  const wanted = words(query);
  const found = words(document);
  if (wanted.length === 0 || found.length === 0) return 0;
  const content = new Map<string, number>();
  for (const word of wanted) content.set(word, weight(word));
  const coverage = weightedShare(content, (word) => closest(word, found));
  const there = new Set(pairs(found));
  const asked = new Map(pairs(wanted).map((pair) => [pair, pairWeight(pair)]));
  const order = asked.size === 0 ? coverage : weightedShare(asked, (pair) => (there.has(pair) ? 1 : 0));
  return sigmoid(16 * (0.65 * coverage + 0.35 * order - 0.7));
}

/**
 * An embedding of `dimensions` numbers and length 1: hashed words and letter trigrams, so that texts with
 * words in common have a high cosine.
 */
export function embed(text: string, dimensions: number): number[] {
  const vector = new Array<number>(dimensions).fill(0);
  const put = (feature: string, amount: number) => {
    const hash = fnv1a(feature);
    const index = hash % dimensions;
    vector[index] = (vector[index] ?? 0) + (hash & 0x8000_0000 ? -amount : amount);
  };
  for (const word of words(text)) {
    put(word, weight(word));
    for (const gram of trigrams(word)) put(gram, 0.2 * weight(word));
  }
  const length = Math.hypot(...vector);
  if (length === 0) return vector.with(0, 1);
  return vector.map((value) => value / length);
}

/** Words that carry no topic weigh a tenth of one that does. */
const FUNCTION_WORDS = new Set(
  'a an the of in on at to for from by with and or is are was were be it its this that what which who how do does did has have as other'.split(
    ' ',
  ),
);

const SEGMENTER = new Intl.Segmenter('en', { granularity: 'word' });

function words(text: string): string[] {
  const result: string[] = [];
  for (const { segment, isWordLike } of SEGMENTER.segment(text.toLowerCase().normalize('NFKC')))
    if (isWordLike) result.push(stem(segment));
  return result;
}

/** Plural and genitive, no more: "states" is "state", "capitalization" is not "capital". */
function stem(word: string): string {
  const bare = word.replace(/['’]s$/, '');
  return bare.length > 3 && bare.endsWith('s') && !bare.endsWith('ss') ? bare.slice(0, -1) : bare;
}

function weight(word: string): number {
  return FUNCTION_WORDS.has(word) ? 0.1 : 1;
}

function pairs(sequence: readonly string[]): string[] {
  return sequence.slice(1).map((word, index) => `${sequence[index]} ${word}`);
}

function pairWeight(pair: string): number {
  const [first = '', second = ''] = pair.split(' ');
  return weight(first) + weight(second);
}

/** 1 for the word itself, up to 0.5 for one that shares most of its letters (misspelt, inflected). */
function closest(word: string, document: readonly string[]): number {
  let best = 0;
  const grams = trigrams(word);
  for (const other of document) {
    if (other === word) return 1;
    if (FUNCTION_WORDS.has(word)) continue;
    const others = new Set(trigrams(other));
    const shared = grams.filter((gram) => others.has(gram)).length;
    best = Math.max(best, shared / (grams.length + others.size - shared));
  }
  return best > 0.4 ? best * 0.5 : 0;
}

function trigrams(word: string): string[] {
  const padded = ` ${word} `;
  return Array.from({ length: Math.max(1, padded.length - 2) }, (_, index) => padded.slice(index, index + 3));
}

function weightedShare(weights: ReadonlyMap<string, number>, match: (key: string) => number): number {
  let total = 0;
  let matched = 0;
  for (const [key, value] of weights) {
    total += value;
    matched += value * match(key);
  }
  return matched / total;
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

/** 32-bit FNV-1a (draft-eastlake-fnv) over UTF-16 units. */
function fnv1a(text: string): number {
  let hash = 0x811c_9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193) >>> 0;
  return hash;
}

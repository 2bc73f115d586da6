/**
 * The simulator's tokenizer. It needs no vocabulary: a token is up to three bytes of UTF-8 and its id is those
 * bytes as a number, so that any process can turn ids back into text. Words are cut much as a BPE cuts them,
 * a space belongs to the word behind it, and no token ends inside a character that fits into one.
 */
export interface Token {
  readonly text: string;
  /** One id, or four for a character beyond three bytes (emoji). */
  readonly ids: readonly number[];
}

const TWO_BYTES = 0x100;
const THREE_BYTES = TWO_BYTES + 0x1_0000;

/** One more than the largest id. */
export const VOCABULARY_SIZE = THREE_BYTES + 0x100_0000;

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (const [word] of text.matchAll(/\s?[^\s]+|\s/gu)) {
    let piece = '';
    for (const character of word) {
      if (piece !== '' && Buffer.byteLength(piece + character) > 3) {
        tokens.push(tokenFrom(piece));
        piece = '';
      }
      piece += character;
    }
    tokens.push(tokenFrom(piece));
  }
  return tokens;
}

/** Length in tokens; estimated beyond 64 KiB, where an exact count would cost more than the rest of the request. */
export function countTokens(text: string): number {
  if (text.length > 0x1_0000) return Math.ceil(Buffer.byteLength(text) / 3);
  return tokenize(text).reduce((sum, token) => sum + token.ids.length, 0);
}

export function detokenize(ids: readonly number[]): string {
  return Buffer.concat(ids.map(bytesOf)).toString('utf8');
}

function tokenFrom(piece: string): Token {
  const bytes = Buffer.from(piece);
  return { text: piece, ids: bytes.length > 3 ? [...bytes] : [idFrom(bytes)] };
}

function idFrom(bytes: Buffer): number {
  const value = bytes.readUIntBE(0, bytes.length);
  return bytes.length === 1 ? value : bytes.length === 2 ? TWO_BYTES + value : THREE_BYTES + value;
}

function bytesOf(id: number): Buffer {
  const length = id < TWO_BYTES ? 1 : id < THREE_BYTES ? 2 : 3;
  const bytes = Buffer.alloc(length);
  bytes.writeUIntBE(id - (length === 1 ? 0 : length === 2 ? TWO_BYTES : THREE_BYTES), 0, length);
  return bytes;
}

import { SluiceError } from '../base/errors.ts';
import { ASCII_CASE, BACKSLASH, escapeAfter, hexDigit, LAST_DIGIT } from './json-text.ts';

const LINE_FEED = 0x0a;
const MODEL = Buffer.from('model');

/**
 * Guards what follows a model where the bytes are no longer JSON: a second object, a comment, single quotes, bare
 * keys. Strict parsers refuse such a body, stream readers and JSON5-like ones each read something else, and no two
 * need agree on which quote opens what. So the word itself is looked for, quoted or not, at any depth, in any case,
 * its letters escaped (`\u006d`, and JSON5's `\x6d`, `\m` and backslash-newline) or not.
 */
export class LooseModelSearch {
  #matched = 0;
  /** 0 outside escapes, 1 behind a backslash; then see `escapeAfter`. */
  #escape = 0;
  #codeUnit = 0;

  /** @throws SluiceError `duplicate_model` */
  scan(chunk: Buffer, from: number): void {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (this.#escape === 1) {
        this.#codeUnit = 0;
        this.#escape = escapeAfter(byte);
        if (this.#escape === 0 && byte !== LINE_FEED) this.#advance(byte);
        continue;
      }
      if (this.#escape > 1) {
        const digit = hexDigit(byte);
        if (digit >= 0) {
          this.#codeUnit = this.#codeUnit * 16 + digit;
          if (++this.#escape <= LAST_DIGIT) continue;
          this.#escape = 0;
          this.#advance(this.#codeUnit);
          continue;
        }
        this.#escape = 0;
      }
      if (byte === BACKSLASH) this.#escape = 1;
      else this.#advance(byte);
    }
  }

  #advance(codeUnit: number): void {
    const letter = codeUnit | ASCII_CASE;
    // `model` repeats none of its letters, so a mismatch can only be the start of the next attempt.
    if (letter === MODEL[this.#matched]) this.#matched++;
    else this.#matched = letter === MODEL[0] ? 1 : 0;
    if (this.#matched < MODEL.length) return;
    throw new SluiceError(
      'duplicate_model',
      'The body goes on behind its JSON in a way that could name a second "model"; send one JSON object.',
      { param: 'model' },
    );
  }
}

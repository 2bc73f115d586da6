import type { JsonValue } from '@bufbuild/protobuf';

/** Arrays and objects within each other; protobuf's decoders stop at the same depth. */
export const NESTING_LIMIT = 100;

export interface ParsedJson {
  readonly value: JsonValue;
  /** A number beyond ±2^53 stands in it, exact in itself: a field of 64 bits should have had it as a string. */
  readonly hasLargeNumber: boolean;
}

/** What is wrong with a JSON text. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
  /** Keys and indices down to the place; empty at the top. */
  readonly path: readonly (string | number)[];

  constructor(message: string, path: readonly (string | number)[]) {
    super(message);
    this.path = path;
  }
}

/**
 * Parses JSON (RFC 8259) as strictly as protobuf wants it, which `JSON.parse` can't be told to do: a key given twice is
 * an error rather than one value lost, and so are lone surrogates, integers that a double would change, numbers beyond a
 * double, and more than 100 levels. Time is linear in the text.
 * @throws JsonTextError
 */
export function parseJsonText(text: string): ParsedJson {
  return new JsonParser(text).parse();
}

const SPACE = /[ \t\n\r]*/y;
/** All but quotation marks, backslashes and control characters. */
const PLAIN = /[ !#-[\]-\uffff]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const FOUR_HEX = /[0-9a-fA-F]{4}/y;
/** Digits that every double holds exactly. */
const EXACT_DIGITS = 15;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

class JsonParser {
  readonly #text: string;
  readonly #path: (string | number)[] = [];
  #at = 0;
  #hasLargeNumber = false;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): ParsedJson {
    this.#skipSpace();
    const value = this.#parseValue();
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#unexpected('the end');
    return { value, hasLargeNumber: this.#hasLargeNumber };
  }

  #parseValue(): JsonValue {
    switch (this.#text[this.#at]) {
      case '"':
        return this.#parseString();
      case '{':
        return this.#parseObject();
      case '[':
        return this.#parseArray();
      case 't':
        return this.#parseWord('true', true);
      case 'f':
        return this.#parseWord('false', false);
      case 'n':
        return this.#parseWord('null', null);
      default:
        return this.#parseNumber();
    }
  }

  #parseObject(): JsonValue {
    this.#checkDepth();
    const object: Record<string, JsonValue> = {};
    this.#at++;
    this.#skipSpace();
    if (this.#accept('}')) return object;
    do {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"') this.#unexpected('a key in quotation marks');
      const key = this.#parseString();
      this.#path.push(key);
      if (Object.hasOwn(object, key)) this.#fail('is given twice');
      this.#skipSpace();
      if (!this.#accept(':')) this.#unexpected('":"');
      this.#skipSpace();
      const value = this.#parseValue();
      if (key === '__proto__') {
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      } else object[key] = value;
      this.#path.pop();
      this.#skipSpace();
    } while (this.#accept(','));
    if (!this.#accept('}')) this.#unexpected('"," or "}"');
    return object;
  }

  #parseArray(): JsonValue {
    this.#checkDepth();
    const array: JsonValue[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#accept(']')) return array;
    do {
      this.#skipSpace();
      this.#path.push(array.length);
      array.push(this.#parseValue());
      this.#path.pop();
      this.#skipSpace();
    } while (this.#accept(','));
    if (!this.#accept(']')) this.#unexpected('"," or "]"');
    return array;
  }

  #parseString(): string {
    const text = this.#text;
    let start = this.#at + 1;
    let decoded: string | null = null;
    for (;;) {
      PLAIN.lastIndex = start;
      PLAIN.test(text);
      const end = PLAIN.lastIndex;
      const plain = text.slice(start, end);
      if (text[end] === '"') {
        this.#at = end + 1;
        if (decoded === null) return plain;
        decoded += plain;
        // The text itself came as UTF-8, which has none: only escapes can make one.
        if (!decoded.isWellFormed()) this.#fail('has half of a surrogate pair (\\ud800 to \\udfff)');
        return decoded;
      }
      this.#at = end;
      if (text[end] !== '\\') {
        if (end >= text.length) this.#unexpected('the end of a string');
        this.#fail('has a control character in a string: write it as an escape');
      }
      this.#at++;
      decoded = (decoded ?? '') + plain + this.#parseEscape();
      start = this.#at;
    }
  }

  #parseEscape(): string {
    const letter = this.#text[this.#at] ?? '';
    const simple = ESCAPES.get(letter);
    if (simple !== undefined) {
      this.#at++;
      return simple;
    }
    FOUR_HEX.lastIndex = this.#at + 1;
    if (letter !== 'u' || !FOUR_HEX.test(this.#text)) this.#unexpected('an escape such as \\n or \\u00e9');
    const code = Number.parseInt(this.#text.slice(this.#at + 1, this.#at + 5), 16);
    this.#at += 5;
    return String.fromCharCode(code);
  }

  #parseNumber(): number {
    NUMBER.lastIndex = this.#at;
    const [literal, fraction, exponent] = NUMBER.exec(this.#text) ?? [];
    if (literal === undefined) this.#unexpected('a value');
    const value = Number(literal);
    if (!Number.isFinite(value)) this.#fail('is a number too large for a double');
    if (value > Number.MAX_SAFE_INTEGER || value < -Number.MAX_SAFE_INTEGER) this.#hasLargeNumber = true;
    if (fraction === undefined && exponent === undefined && losesDigits(literal, value)) {
      this.#fail('is an integer that a JSON number holds only roughly: send it as a string');
    }
    this.#at += literal.length;
    return value;
  }

  #parseWord<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#unexpected('a value');
    this.#at += word.length;
    return value;
  }

  #checkDepth(): void {
    if (this.#path.length >= NESTING_LIMIT) this.#fail(`is nested more than ${NESTING_LIMIT} levels deep`);
  }

  #skipSpace(): void {
    if (this.#text.charCodeAt(this.#at) > 0x20) return;
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #accept(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #unexpected(expected: string): never {
    const character = this.#text.codePointAt(this.#at);
    const found = character === undefined ? 'ends' : `has ${shown(character)}`;
    throw new JsonTextError(`${found} at character ${this.#at + 1}, where ${expected} is expected`, []);
  }

  #fail(message: string): never {
    throw new JsonTextError(message, [...this.#path]);
  }
}

/** Not so what a double itself is written as: `JSON.stringify(1.2345678901234567e20)` is an integer with false digits. */
function losesDigits(integer: string, value: number): boolean {
  if (integer.length <= EXACT_DIGITS) return false;
  return BigInt(integer) !== BigInt(value) && integer !== String(value);
}

function shown(character: number): string {
  if (character > 0x20 && character < 0x7f) return JSON.stringify(String.fromCharCode(character));
  return `U+${character.toString(16).toUpperCase().padStart(4, '0')}`;
}

import { decodePercent } from './percent.ts';

/** A path template, taken apart: `/v1/{name=shelves/*}/books:list`. */
export interface PathTemplate {
  /** As written. */
  readonly source: string;
  /** The variables' segments among them, in order; empty for `/`. */
  readonly segments: readonly TemplateSegment[];
  /** What stands behind the last colon, percent-decoded; `` when there is none. */
  readonly verb: string;
  readonly variables: readonly TemplateVariable[];
}

export type TemplateSegment =
  /** Percent-decoded. */
  | { readonly kind: 'literal'; readonly text: string }
  /** `*`: one segment that isn't empty. */
  | { readonly kind: 'single' }
  /** `**`: what is left, zero segments or more. */
  | { readonly kind: 'rest' };

export interface TemplateVariable {
  /** `['book', 'name']` of `{book.name}`. */
  readonly fieldPath: readonly string[];
  /** Index of its first segment. */
  readonly start: number;
  /** Index behind its last segment. */
  readonly end: number;
  /** What it captures: one segment, several, or (ending in `**`) all that is left. */
  readonly extent: 'one' | 'several' | 'rest';
}

/** What is wrong with a template, and where in it. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  /** Where in the template, counted from 0. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

const IDENTIFIER = /[A-Za-z_][A-Za-z0-9_]*/y;
const LITERAL_CHARACTER = /^[A-Za-z0-9\-._~!$&'()+,;=@]$/;
/** RFC 3986's pchar without `:` (a verb's) and `*` (a wildcard's). */
const LITERAL = /(?:[A-Za-z0-9\-._~!$&'()+,;=@]|%[0-9A-Fa-f]{2})+/y;

/**
 * Parses a path template (google/api/http.proto, "Path template syntax"):
 *
 *     Template  = "/" Segments [ Verb ] ;
 *     Segments  = Segment { "/" Segment } ;
 *     Segment   = "*" | "**" | LITERAL | Variable ;
 *     Variable  = "{" FieldPath [ "=" Segments ] "}" ;
 *     FieldPath = IDENT { "." IDENT } ;
 *     Verb      = ":" LITERAL ;
 *
 * `**` may stand at the end alone, a variable holds no other variable, and no field is named twice. Beyond the grammar,
 * `/` alone is the root, as every transcoder has it.
 * @throws TemplateError
 */
export function parseTemplate(source: string): PathTemplate {
  return new TemplateParser(source).parse();
}

class TemplateParser {
  readonly #source: string;
  readonly #segments: TemplateSegment[] = [];
  readonly #variables: TemplateVariable[] = [];
  #at = 0;
  #isInVariable = false;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): PathTemplate {
    const source = this.#source;
    this.#expect('/', 'a template begins with "/"');
    let verb = '';
    if (source !== '/') {
      this.#parseSegments();
      if (this.#accept(':')) verb = this.#parseLiteral('a verb');
      if (this.#at < source.length) this.#failAtRest();
    }
    this.#checkRestIsLast();
    return { source, segments: this.#segments, verb, variables: this.#variables };
  }

  #parseSegments(): void {
    do this.#parseSegment();
    while (this.#accept('/'));
  }

  #parseSegment(): void {
    if (this.#accept('*')) {
      this.#segments.push(this.#accept('*') ? { kind: 'rest' } : { kind: 'single' });
    } else if (this.#peek() === '{') {
      if (this.#isInVariable) this.#fail('a variable holds another variable');
      this.#parseVariable();
    } else {
      const start = this.#at;
      const text = this.#parseLiteral('a segment');
      if (text === '.' || text === '..') this.#fail('a dot segment never reaches a server', start);
      this.#segments.push({ kind: 'literal', text });
    }
  }

  #parseVariable(): void {
    const opening = this.#at++;
    const start = this.#segments.length;
    const fieldPath = this.#parseFieldPath();
    if (this.#accept('=')) {
      this.#isInVariable = true;
      this.#parseSegments();
      this.#isInVariable = false;
    } else this.#segments.push({ kind: 'single' });
    this.#expect('}', `the variable {${fieldPath.join('.')} isn't closed`);
    const name = fieldPath.join('.');
    if (this.#variables.some((variable) => variable.fieldPath.join('.') === name)) {
      this.#fail(`{${name}} stands there twice`, opening);
    }
    const end = this.#segments.length;
    const isOpen = this.#segments[end - 1]?.kind === 'rest';
    const extent = isOpen ? 'rest' : end - start > 1 ? 'several' : 'one';
    this.#variables.push({ fieldPath, start, end, extent });
  }

  #parseFieldPath(): string[] {
    const names: string[] = [];
    do {
      IDENTIFIER.lastIndex = this.#at;
      const [name] = IDENTIFIER.exec(this.#source) ?? [];
      if (name === undefined) this.#fail("a variable's field name is expected");
      this.#at += name.length;
      names.push(name);
    } while (this.#accept('.'));
    return names;
  }

  #parseLiteral(what: string): string {
    LITERAL.lastIndex = this.#at;
    const [literal] = LITERAL.exec(this.#source) ?? [];
    if (literal === undefined) {
      const found = this.#peek();
      const isEnd =
        found === undefined || found === '/' || found === ':' || (found === '}' && this.#isInVariable);
      if (isEnd) this.#fail(`${what} is empty`);
      this.#failAtRest();
    }
    const decoded = decodePercent(literal);
    if (decoded === null) this.#fail(`${what} is not UTF-8 when percent-decoded`);
    this.#at += literal.length;
    return decoded;
  }

  #checkRestIsLast(): void {
    const index = this.#segments.findIndex(({ kind }) => kind === 'rest');
    if (index === -1 || index === this.#segments.length - 1) return;
    this.#fail('"**" stands before another segment: it may only be the last', this.#source.indexOf('**'));
  }

  #peek(): string | undefined {
    return this.#source[this.#at];
  }

  #accept(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #expect(character: string, otherwise: string): void {
    if (!this.#accept(character)) this.#fail(otherwise);
  }

  /** Something is left over where a segment has ended, or can't begin one. */
  #failAtRest(): never {
    const found = this.#peek();
    switch (found) {
      case '*':
      case '{':
        return this.#fail(
          `"${found}" stands inside a segment: wildcards and variables are segments of their own`,
        );
      case '}':
        return this.#fail('"}" closes nothing');
      case ':':
        return this.#fail('a second ":": a verb has none');
      case '/':
        return this.#fail('a verb is the end of the template');
      case '%':
        return this.#fail('"%" without two hexadecimal digits');
      default:
        if (found !== undefined && LITERAL_CHARACTER.test(found)) {
          return this.#fail(
            `${JSON.stringify(found)} follows a wildcard or variable, which is a segment of its own`,
          );
        }
        return this.#fail(`${JSON.stringify(found)} must be percent-encoded`);
    }
  }

  #fail(message: string, offset: number = this.#at): never {
    throw new TemplateError(message, offset);
  }
}

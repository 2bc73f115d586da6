import { stripVTControlCharacters } from 'node:util';

/** Beyond it a line is cut; one without an end must not be kept in memory. */
const MAX_RAW_CHARACTERS = 16_384;

/**
 * Makes lines of a process's output: split at line feeds and at the carriage returns of progress bars, without colours
 * and control characters, bytes that are no UTF-8 replaced, empty lines left out.
 */
export class OutputLines {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #tell: (line: string) => void;
  #pending = '';
  #isCut = false;

  constructor(tell: (line: string) => void) {
    this.#tell = tell;
  }

  write(bytes: Uint8Array): void {
    this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The last line may have no end. */
  end(): void {
    this.#take(`${this.#decoder.decode()}\n`);
  }

  #take(text: string): void {
    const parts = text.split(/[\r\n]/);
    const last = parts.pop() ?? '';
    for (const part of parts) {
      this.#append(part);
      const line = this.#pending;
      this.#pending = '';
      this.#isCut = false;
      this.#finish(line);
    }
    this.#append(last);
  }

  #append(part: string): void {
    if (this.#isCut) return;
    this.#pending += part;
    if (this.#pending.length <= MAX_RAW_CHARACTERS) return;
    this.#pending = `${this.#pending.slice(0, MAX_RAW_CHARACTERS)}…`;
    this.#isCut = true;
  }

  #finish(raw: string): void {
    const line = stripVTControlCharacters(raw)
      .replaceAll(/\p{Cc}+/gu, ' ')
      .trimEnd();
    if (line !== '') this.#tell(line);
  }
}

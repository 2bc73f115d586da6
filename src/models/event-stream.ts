/** One server-sent event. */
export interface StreamEvent {
  /** `message` where the stream names none. */
  readonly event: string;
  readonly data: string;
}

/** An event longer than this is no event: whoever sends it would fill the memory. */
const MAX_EVENT_CHARS = 16 * 1024 * 1024;

/**
 * Reads `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)
 * from bytes that are cut anywhere: within a character, within CRLF, within a field's name. Other than a browser it
 * also takes a last event that no empty line ends, because some servers forget it behind `[DONE]`.
 */
export class EventStreamParser {
  readonly #decoder = new TextDecoder();
  /** The line under way, in pieces: a long one that comes byte by byte is put together once. */
  #line: string[] = [];
  #size = 0;
  #data: string[] = [];
  #event = '';
  #afterCarriageReturn = false;

  /**
   * @returns the events that are complete now
   * @throws RangeError when an event is too long
   */
  push(bytes: Uint8Array): readonly StreamEvent[] {
    return this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** @returns what was complete but for its end */
  end(): readonly StreamEvent[] {
    return [...this.#take(this.#decoder.decode()), ...this.#take('\n\n')];
  }

  #take(text: string): readonly StreamEvent[] {
    const events: StreamEvent[] = [];
    let from = 0;
    if (text !== '' && this.#afterCarriageReturn) {
      this.#afterCarriageReturn = false;
      if (text.startsWith('\n')) from = 1;
    }
    const ends = /\r\n|\r|\n/g;
    ends.lastIndex = from;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#add(text.slice(from, end.index));
      from = ends.lastIndex;
      if (end[0] === '\r' && from === text.length) this.#afterCarriageReturn = true;
      const event = this.#endLine();
      if (event !== null) events.push(event);
    }
    this.#add(text.slice(from));
    return events;
  }

  #add(piece: string): void {
    if (piece === '') return;
    this.#size += piece.length;
    if (this.#size > MAX_EVENT_CHARS) throw new RangeError('an event of the stream is too long');
    this.#line.push(piece);
  }

  #endLine(): StreamEvent | null {
    const line = this.#line.length === 1 ? (this.#line[0] ?? '') : this.#line.join('');
    this.#line = [];
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else {
      // A comment, or a field that says nothing here, is no part of an event's length.
      this.#size -= line.length;
      if (field === 'event') this.#event = value;
    }
    return null;
  }

  #dispatch(): StreamEvent | null {
    const [data, event] = [this.#data, this.#event];
    this.#data = [];
    this.#event = '';
    this.#size = 0;
    return data.length === 0 ? null : { event: event === '' ? 'message' : event, data: data.join('\n') };
  }
}

/**
 * Finds the top-level model name in a request body as its bytes arrive, so that it can be replaced in place
 * and every other byte sent as it came. Two bodies carry one: JSON (json-model-scanner.ts) and multipart forms
 * (multipart-model-scanner.ts).
 */
export interface ModelScanner {
  /**
   * Looks at the next bytes of the body; chunks may be cut anywhere. Keeps no reference to the chunk.
   * @throws SluiceError `duplicate_model` at a second top-level model: parsers disagree on which one counts,
   *   so nothing behind it may reach an upstream (GHSA-4gph-2hhr-5mwg).
   */
  scan(chunk: Buffer): void;
  /** Where the model stands once its last byte has been scanned; null until then. Never changes again. */
  readonly found: ModelSpan | null;
  /**
   * True once no further byte can yield a model: the body may flow as it came. Stays false when one was found.
   * Keep scanning in either case: a second model is refused wherever it stands.
   */
  readonly inert: boolean;
  /** The bytes that stand for `name` in this kind of body, to be put between `start` and `end`. */
  encode(name: string): Buffer;
}

export interface ModelSpan {
  /** Offset in the body of the first byte to replace (in JSON: the opening quote). */
  readonly start: number;
  /** Offset behind the last byte to replace. */
  readonly end: number;
  /** The model's name, decoded. */
  readonly name: string;
}

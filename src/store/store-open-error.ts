/** A store that can't be used. One line for the operator: where, what, and what to do. */
export class StoreOpenError extends Error {
  override readonly name = 'StoreOpenError';

  constructor(location: string, what: string, remedy: string, cause?: unknown) {
    super(
      `state can't be kept in ${location}: ${what}; ${remedy}`,
      cause === undefined ? undefined : { cause },
    );
  }
}

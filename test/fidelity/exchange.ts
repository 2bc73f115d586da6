/** One row of the corpus: what a client sends and, where the upstream is scripted, what it answers. */
export interface Exchange {
  /** A noun phrase: "an empty header value". */
  readonly name: string;
  /** Why somebody might get it wrong. */
  readonly why: string;
  readonly request: RequestSpec;
  /**
   * The response, to the byte, latin1; each piece is a write of its own. Left out: a plain 200. Not used where the
   * upstream is the vLLM simulator.
   */
  readonly answer?: readonly (string | Buffer)[];
  /** The upstream closes its connection behind the answer. */
  readonly closes?: boolean;
  /** Ways that the exchange can't take, each with the rule that says so. */
  readonly not?: Partial<Record<Way, string>>;
  /** Requests that bring a stateful upstream into the state that the exchange begins with. */
  readonly before?: readonly RequestSpec[];
}

/** `{model}`, `{host}` and `{length}` stand for the model's name, the target's authority and the body's length. */
export interface RequestSpec {
  /** Default GET, or POST where there is a body. */
  readonly method?: string;
  /** The target's own path and query. */
  readonly path: string;
  /** Default 1.1. */
  readonly version?: '1.0' | '1.1';
  /** Header lines as they go on the wire, latin1. Host and Content-Length are added where they aren't given. */
  readonly fields?: readonly string[];
  readonly body?: BodySpec;
  /** The client cuts the request into writes of so many bytes. */
  readonly cut?: number;
}

export type BodySpec =
  /** Sent with Content-Length. */
  | string
  | Buffer
  /** Sent chunked: `extension` stands behind each size, `trailers` are lines. */
  | {
      readonly chunks: readonly (string | Buffer)[];
      readonly extension?: string;
      readonly trailers?: readonly string[];
    };

/** How a request gets to the upstream, besides directly. */
export type Way = 'provider' | 'v1' | 'operator';

export const WAYS: readonly Way[] = ['provider', 'v1', 'operator'];

/** The ways that an exchange can take. */
export function waysOf(exchange: Exchange): readonly Way[] {
  return WAYS.filter(
    (way) => exchange.not?.[way] === undefined && (way !== 'v1' || exchange.request.path.startsWith('/v1/')),
  );
}

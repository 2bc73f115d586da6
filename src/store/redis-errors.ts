import { SluiceError } from '../base/errors.ts';

/** The connection is not there, is not answering, or belongs to a server that takes no writes just now. */
export class RedisAway extends Error {
  override readonly name = 'RedisAway';
}

/**
 * Whatever a command has failed with, as its caller gets it. All of it is `store_unavailable`: the commands are ours,
 * so what Redis says of them is about its state (LOADING, READONLY, MISCONF, OOM, NOAUTH, …) or about its version.
 */
export function verbErrorFrom(thrown: unknown): unknown {
  if (thrown instanceof SluiceError || !(thrown instanceof Error)) return thrown;
  return new SluiceError('store_unavailable', `State is not available just now: ${whatIs(thrown)}.`, {
    cause: thrown,
  });
}

/** Answers that a server gives for as long as it stays in a state; https://redis.io/docs/latest/develop/reference/protocol-spec/ */
const STATES: ReadonlyMap<string, string> = new Map([
  ['LOADING', 'Redis is loading its data'],
  ['READONLY', 'this Redis is a read-only replica'],
  ['MASTERDOWN', 'this Redis is a replica that has lost its master'],
  ['CLUSTERDOWN', 'the Redis Cluster is down'],
  ['NOREPLICAS', 'Redis has not enough replicas'],
  ['MISCONF', "Redis can't write to its disk"],
  ['OOM', 'Redis is out of memory'],
  ['BUSY', 'Redis is busy with a script'],
  ['NOAUTH', 'Redis asks for a password'],
  ['WRONGPASS', 'Redis refuses the password'],
  ['NOPERM', "Redis doesn't let this user do it"],
]);

/** True: trying again at once, or soon, gets the same answer. */
export function isState(thrown: unknown): boolean {
  return thrown instanceof Error && STATES.has(codeOf(thrown));
}

/** True: the command was certainly not done, and may be sent again. */
export function wasNotDone(thrown: unknown): boolean {
  if (thrown instanceof RedisAway || isState(thrown)) return true;
  // The client's own words for what it has not sent.
  return thrown instanceof Error && /^(?:Stream|Cluster) isn't /.test(thrown.message);
}

/** True where the server will never let us in as we are. */
export function isRefusal(thrown: unknown): boolean {
  return thrown instanceof Error && ['NOAUTH', 'WRONGPASS'].includes(codeOf(thrown));
}

/** In a few words, without an address. */
export function whatIs(thrown: unknown): string {
  if (thrown instanceof RedisAway) return thrown.message;
  const state = thrown instanceof Error ? STATES.get(codeOf(thrown)) : undefined;
  if (state !== undefined) return state;
  return isReply(thrown) ? 'Redis reports an error' : "Redis can't be reached";
}

function isReply(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'ReplyError';
}

/** The first word of what Redis says. */
function codeOf(error: Error): string {
  return error.message.slice(0, error.message.search(/\s|$/));
}

import { type BridgeError, invalid } from './bridge-error.ts';
import type { JsonFault } from './json-fault.ts';
import { JsonTextError, NESTING_LIMIT, type ParsedJson, parseJsonText } from './json-text.ts';

/**
 * For `fromJson`, behind a parser that has stopped deep nesting already: a level of JSON is at most two of messages
 * (Struct, Value).
 */
export const RECURSION_LIMIT = 4 * NESTING_LIMIT;
/** Of a path of a client's own names in a message. */
const PATH_SHOWN = 200;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * @param noun what the bytes are to their sender: `body` or `message`
 * @throws BridgeError
 */
export function jsonTextOf(bytes: Uint8Array, noun: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw invalid(`the ${noun} is not UTF-8`);
  }
}

/** @throws BridgeError that names the place */
export function parseStrictly(text: string, noun: string): ParsedJson {
  try {
    return parseJsonText(text);
  } catch (error) {
    if (error instanceof JsonTextError) throw refusalOfText(error, noun);
    throw error;
  }
}

/** @param noun what has the fault: `field`, or `parameter` of a query or path */
export function refusalOfFault({ path, message }: JsonFault, noun: string): BridgeError {
  const place = shortened(path);
  return invalid(`${noun} ${JSON.stringify(place)} ${message}`, place);
}

function refusalOfText({ message, path }: JsonTextError, noun: string): BridgeError {
  if (path.length === 0) return invalid(`the ${noun} is not JSON: it ${message}`);
  const place = path.reduce<string>(
    (joined, part) =>
      typeof part === 'number' ? `${joined}[${part}]` : joined === '' ? part : `${joined}.${part}`,
    '',
  );
  return refusalOfFault({ path: place, message }, 'field');
}

function shortened(path: string): string {
  return path.length > PATH_SHOWN ? `${path.slice(0, PATH_SHOWN)}…` : path;
}

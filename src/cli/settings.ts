import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { InvalidArgumentError } from 'commander';

/**
 * Adds a setting of the form `name=value` to those before. The value is JSON where it is JSON (`0.7`, `true`,
 * `["a"]`), else text.
 */
export function addSetting(word: string, before: JsonObject | undefined): JsonObject {
  const at = word.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('it has the form name=value.');
  return { ...before, [word.slice(0, at)]: valueFrom(word.slice(at + 1)) };
}

/** Adds a pair of the form `name=value` or `Name: value`. */
export function addPair(
  separator: '=' | ':',
): (word: string, before: Readonly<Record<string, string>> | undefined) => Record<string, string> {
  return (word, before) => {
    const at = word.indexOf(separator);
    if (at < 1) throw new InvalidArgumentError(`it has the form name${separator === ':' ? ': ' : '='}value.`);
    return { ...before, [word.slice(0, at).trim()]: word.slice(at + 1).trim() };
  };
}

/** A JSON object. */
export function parseObject(text: string): JsonObject {
  const value = jsonFrom(text);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new InvalidArgumentError('it is a JSON object.');
  }
  return value;
}

/** A number of 0 or more. */
export function parseAmount(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('it is a number, 0 or more.');
  }
  return value;
}

function valueFrom(text: string): JsonValue {
  return jsonFrom(text) ?? (text === 'null' ? null : text);
}

function jsonFrom(text: string): JsonValue | null {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return null;
  }
}

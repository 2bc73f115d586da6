import type { DescField, DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';
import { findField, hasOwnJson } from './fields.ts';
import { isJsonObject } from './request-tree.ts';

const FIELD_MASK = 'google.protobuf.FieldMask';
const UNDERSCORED = /_([a-z])/g;

/**
 * Protobuf's JSON has FieldMask paths in lowerCamelCase alone, while all else of an API in snake_case is named in it:
 * both are accepted, by rewriting the mask before it is decoded. A name that doesn't come back the same from
 * lowerCamelCase (`line_2`) stays as it is, and is refused by the decoder.
 */
export class FieldMasks {
  /** The fields of a message under which a mask may stand; an empty list for most messages. */
  readonly #leading = new Map<DescMessage, readonly DescField[]>();

  /** True: requests of this type have no mask, and `rewrite` does nothing. */
  isWithout(message: DescMessage): boolean {
    return this.#leadingOf(message).length === 0;
  }

  rewrite(message: DescMessage, json: JsonValue): void {
    const leading = this.#leadingOf(message);
    if (leading.length === 0 || !isJsonObject(json)) return;
    for (const key of Object.keys(json)) {
      const field = findField(message, key);
      if (field !== undefined && leading.includes(field)) this.#rewriteField(field, json, key);
    }
  }

  #rewriteField(field: DescField, parent: JsonObject, key: string): void {
    const message = messageOf(field) as DescMessage;
    const value = parent[key] as JsonValue;
    if (field.fieldKind === 'message') parent[key] = this.#rewritten(message, value);
    else if (Array.isArray(value)) parent[key] = value.map((item) => this.#rewritten(message, item));
    else if (isJsonObject(value)) {
      for (const name of Object.keys(value)) value[name] = this.#rewritten(message, value[name] as JsonValue);
    }
  }

  #rewritten(message: DescMessage, json: JsonValue): JsonValue {
    if (message.typeName !== FIELD_MASK) this.rewrite(message, json);
    else if (typeof json === 'string')
      return json.replace(UNDERSCORED, (_, letter: string) => letter.toUpperCase());
    return json;
  }

  #leadingOf(message: DescMessage): readonly DescField[] {
    const known = this.#leading.get(message);
    if (known !== undefined) return known;
    const leading = message.fields.filter((field) => {
      const child = messageOf(field);
      return child !== null && reachesMask(child, new Set());
    });
    this.#leading.set(message, leading);
    return leading;
  }
}

function reachesMask(message: DescMessage, visited: Set<DescMessage>): boolean {
  if (message.typeName === FIELD_MASK) return true;
  if (visited.has(message) || hasOwnJson(message.typeName)) return false;
  visited.add(message);
  return message.fields.some((field) => {
    const child = messageOf(field);
    return child !== null && reachesMask(child, visited);
  });
}

function messageOf(field: DescField): DescMessage | null {
  return field.message ?? null;
}

import type { DescField, JsonObject, JsonValue } from '@bufbuild/protobuf';

/**
 * The request on its way to becoming a message: protobuf JSON that body, path and query are put together in, so that it
 * is decoded once. Whichever spelling of a field's name the body uses is found again.
 */

/** The name under which the tree has a field: the body's spelling if it is there already. */
function keyOf(tree: JsonObject, field: DescField): string {
  return field.jsonName !== field.name && Object.hasOwn(tree, field.jsonName) ? field.jsonName : field.name;
}

/** The value at a field path; undefined where it or a message on the way is absent or null. */
export function valueAt(tree: JsonObject, fields: readonly DescField[]): JsonValue | undefined {
  let value: JsonValue | undefined = tree;
  for (const field of fields) {
    if (!isJsonObject(value)) return undefined;
    value = value[keyOf(value, field)];
  }
  return value ?? undefined;
}

/**
 * Sets the value at a field path; messages on the way are made where they are absent or null.
 * @returns false where something that isn't an object stands in the way
 */
export function setAt(tree: JsonObject, fields: readonly DescField[], value: JsonValue): boolean {
  let parent = tree;
  const last = fields.length - 1;
  for (const [depth, field] of fields.entries()) {
    const key = keyOf(parent, field);
    if (depth === last) {
      parent[key] = value;
      break;
    }
    const child: JsonValue = parent[key] ?? {};
    if (!isJsonObject(child)) return false;
    parent[key] = child;
    parent = child;
  }
  return true;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `book.page_size`. */
export function fieldPathName(fields: readonly DescField[]): string {
  return fields.length === 1 ? (fields[0]?.name ?? '') : fields.map(({ name }) => name).join('.');
}

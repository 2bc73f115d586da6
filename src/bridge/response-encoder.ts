import {
  type DescField,
  type JsonValue,
  type JsonWriteOptions,
  type Message,
  type Registry,
  toJson,
} from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import type { Binding } from './binding.ts';
import { isHttpBody } from './fields.ts';

/** The body of a response. */
export interface EncodedBody {
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

const utf8 = new TextEncoder();

/**
 * Writes the response messages of one binding. Names are those of the proto (snake_case). Every field without presence
 * is written, zero or not, so that a body has exactly the documented fields: an empty list is `[]`, an empty text `""`.
 * Fields with presence (messages, `optional`, a oneof's) are written when set. Of a `response_body` that is unset null
 * is left.
 */
export class ResponseEncoder {
  readonly #binding: Binding;
  readonly #options: Partial<JsonWriteOptions>;
  readonly #isRaw: boolean;

  constructor(binding: Binding, registry: Registry) {
    this.#binding = binding;
    this.#options = { registry, useProtoFieldName: true, alwaysEmitImplicit: true };
    const { responseBody, method } = binding;
    const content = responseBody === null ? method.output : responseBody.message;
    this.#isRaw =
      content !== undefined &&
      responseBody?.fieldKind !== 'list' &&
      responseBody?.fieldKind !== 'map' &&
      isHttpBody(content);
  }

  /** A message of a stream, or the one of a unary RPC. */
  json(message: Message): JsonValue {
    const { responseBody, method } = this.#binding;
    const json = toJson(method.output, message, this.#options);
    if (responseBody === null) return json;
    return (json as Readonly<Record<string, JsonValue>>)[responseBody.name] ?? null;
  }

  body(message: Message): EncodedBody {
    if (this.#isRaw) return rawBody(this.#httpBodyOf(message));
    return { contentType: 'application/json', bytes: utf8.encode(JSON.stringify(this.json(message))) };
  }

  #httpBodyOf(message: Message): Message {
    const { responseBody, method } = this.#binding;
    if (responseBody === null) return message;
    const field = responseBody as DescField & { readonly fieldKind: 'message' };
    return reflect(method.output, message).get(field).message;
  }
}

/** A google.api.HttpBody as it is. */
function rawBody(message: Message): EncodedBody {
  const { contentType, data } = message as Message & {
    readonly contentType: string;
    readonly data: Uint8Array;
  };
  return { contentType: contentType === '' ? 'application/octet-stream' : contentType, bytes: data };
}

import { type DescEnum, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import type { FieldRules } from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import { commentOf } from './openapi-comments.ts';
import type { Schema } from './openapi-document.ts';
import { type Choice, choicesOf, constraintsOf, requiredFields, rulesOf } from './openapi-rules.ts';
import { mapKeySchema, scalarSchema, wellKnownSchema } from './openapi-scalars.ts';

export interface SchemaOptions {
  /** Messages that are read from requests: their required fields are those that the rules ask for. */
  readonly inRequests: ReadonlySet<DescMessage>;
  /** Messages that are written to responses: what isn't in a request too has all fields without presence, always. */
  readonly inResponses: ReadonlySet<DescMessage>;
}

/** `components.schemas`, filled with what is referred to. */
export class SchemaTable {
  readonly #options: SchemaOptions;
  readonly #schemas = new Map<string, Schema>();
  readonly #names = new Map<string, string>();

  constructor(options: SchemaOptions) {
    this.#options = options;
  }

  get schemas(): Readonly<Record<string, Schema>> {
    return Object.fromEntries(this.#schemas);
  }

  /** A message as a JSON value. `without`: those of its fields that stand elsewhere, in the path. */
  message(message: DescMessage, without: ReadonlySet<DescField> = new Set()): Schema {
    const wellKnown = wellKnownSchema(message);
    if (wellKnown !== null) return wellKnown;
    const missing = message.fields.filter((field) => without.has(field)).map((field) => field.name);
    const key = [message.typeName, ...missing].join(' ');
    const suffix = missing.length === 0 ? '' : 'Body';
    return this.#reference(key, message, suffix, () => this.#messageSchema(message, without));
  }

  /** A field's value, with what its comment and its rules say. */
  field(field: DescField): Schema {
    const rules = rulesOf(field);
    const schema = this.#value(field, rules);
    const own = constraintsOf(rules, field.enum ?? null);
    const description = [commentOf(field), ...own.words].filter((part) => part !== '').join(' ');
    return {
      ...schema,
      ...own.keywords,
      ...(description !== '' && { description }),
      ...defaultOf(field),
      ...(field.proto.options?.deprecated === true && { deprecated: true }),
    };
  }

  #value(field: DescField, rules: FieldRules | null): Schema {
    const inner = rules?.type;
    switch (field.fieldKind) {
      case 'scalar':
        return scalarSchema(field.scalar);
      case 'enum':
        return this.#enum(field.enum);
      case 'message':
        return this.message(field.message);
      case 'list':
        return {
          type: 'array',
          items: this.#element(field, inner?.case === 'repeated' ? inner.value.items : undefined),
        };
      case 'map': {
        const ofMap = inner?.case === 'map' ? inner.value : undefined;
        const names = { ...mapKeySchema(field.mapKey), ...constraintsOf(ofMap?.keys, null).keywords };
        return {
          type: 'object',
          ...(Object.keys(names).length > 0 && { propertyNames: names }),
          additionalProperties: this.#element(field, ofMap?.values),
        };
      }
    }
  }

  #element(field: DescField & { fieldKind: 'list' | 'map' }, rules: FieldRules | undefined): Schema {
    const { keywords, words } = constraintsOf(rules, field.enum ?? null);
    return {
      ...this.#elementValue(field),
      ...keywords,
      ...(words.length > 0 && { description: words.join(' ') }),
    };
  }

  #elementValue(field: DescField & { fieldKind: 'list' | 'map' }): Schema {
    if (field.message !== undefined) return this.message(field.message);
    if (field.enum !== undefined) return this.#enum(field.enum);
    return scalarSchema(field.scalar ?? ScalarType.STRING);
  }

  #enum(desc: DescEnum): Schema {
    if (desc.typeName === 'google.protobuf.NullValue') return { type: 'null' };
    return this.#reference(desc.typeName, desc, '', () => {
      const values = desc.values.map((value) => {
        const comment = commentOf(value);
        return `- \`${value.name}\`${comment === '' ? '' : `: ${comment}`}`;
      });
      const description = [commentOf(desc), values.join('\n')].filter((part) => part !== '').join('\n\n');
      return { type: 'string', enum: desc.values.map((value) => value.name), description };
    });
  }

  #messageSchema(message: DescMessage, without: ReadonlySet<DescField>): Schema {
    const fields = message.fields.filter((field) => !without.has(field));
    const description = commentOf(message);
    const required = fields.filter((field) => this.#isRequired(field)).map((field) => field.name);
    const names = new Set(fields.map((field) => field.name));
    const choices = choicesOf(message)
      .map(({ fields, required }) => ({ fields: fields.filter((name) => names.has(name)), required }))
      .filter((choice) => choice.fields.length > 1 || (choice.fields.length === 1 && choice.required));
    return {
      type: 'object',
      ...(description !== '' && { description }),
      properties: Object.fromEntries(fields.map((field) => [field.name, this.field(field)])),
      ...(required.length > 0 && { required }),
      ...choiceKeywords(choices),
      // Unknown fields of a request are refused; those of a response may be a newer server's.
      ...(!this.#options.inResponses.has(message) && { additionalProperties: false }),
    };
  }

  #isRequired(field: DescField): boolean {
    if (this.#options.inRequests.has(field.parent)) return requiredFields(field.parent).has(field);
    return isAlwaysEmitted(field);
  }

  /** `build` may refer to what is being built. */
  #reference(key: string, desc: DescMessage | DescEnum, suffix: string, build: () => Schema): Schema {
    const known = this.#names.get(key);
    const name = known ?? this.#freeName(desc, suffix);
    if (known === undefined) {
      this.#names.set(key, name);
      this.#schemas.set(name, {});
      this.#schemas.set(name, build());
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  /** Without the package where that is unambiguous. */
  #freeName({ typeName, file }: DescMessage | DescEnum, suffix: string): string {
    const prefix = file.proto.package === '' ? '' : `${file.proto.package}.`;
    const short = `${typeName.slice(prefix.length)}${suffix}`;
    const long = `${typeName}${suffix}`;
    const candidates = [short, long, ...Array.from({ length: 100 }, (_, index) => `${long}${index + 2}`)];
    const free = candidates.find((name) => !this.#schemas.has(name));
    if (free === undefined) throw new Error(`no name is left for the schema of ${typeName}`);
    return free;
  }
}

/** Everything that a JSON value of these messages can hold. */
export function messagesWithin(roots: Iterable<DescMessage>): ReadonlySet<DescMessage> {
  const found = new Set<DescMessage>(roots);
  for (const message of found) {
    for (const { message: inner } of message.fields) if (inner !== undefined) found.add(inner);
  }
  return found;
}

function isAlwaysEmitted(field: DescField): boolean {
  if (field.fieldKind === 'list' || field.fieldKind === 'map') return true;
  return (
    field.fieldKind !== 'message' &&
    field.oneof === undefined &&
    field.presence === FeatureSet_FieldPresence.IMPLICIT
  );
}

/** A default of proto2 or of an edition. */
function defaultOf(field: DescField): Schema {
  if (!field.proto.defaultValue) return {};
  if (field.fieldKind === 'enum') {
    return { default: field.enum.value[field.getDefaultValue() ?? 0]?.name };
  }
  if (field.fieldKind !== 'scalar') return {};
  const value = field.getDefaultValue();
  if (value instanceof Uint8Array) return { default: Buffer.from(value).toString('base64') };
  return { default: typeof value === 'bigint' ? String(value) : value };
}

function choiceKeywords(choices: readonly Choice[]): Schema {
  const each = choices.map(({ fields, required }) => {
    const chosen = fields.map((name) => ({ required: [name] }));
    return { oneOf: required ? chosen : [...chosen, { not: { anyOf: chosen } }] };
  });
  return each.length < 2 ? (each[0] ?? {}) : { allOf: each };
}

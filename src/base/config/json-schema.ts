import * as z from 'zod';
import { MODEL_PARAMS } from './deployment.ts';
import { GENERAL } from './general-settings.ts';
import { DIALECTS, MODEL_ENTRY } from './model-list.ts';
import { ENDPOINT } from './pass-through.ts';
import type { Fields, Section } from './section.ts';
import { LIBRARY, LIBRARY_SECTIONS, ROUTER, TOP } from './sections.ts';
import { TLS } from './tls.ts';

const NOT_ACTED_ON = z.unknown().meta({
  id: 'NotActedOn',
  description: 'Known from LiteLLM; not acted on by this version.',
});

/**
 * The JSON Schema of a configuration file (draft-07, which editors know best), made of the same sections that
 * `parseConfig` reads. Committed as schema/config.schema.json by scripts/generate-schema.ts.
 */
export function configJsonSchema(): Record<string, unknown> {
  const params = objectOf(MODEL_PARAMS).meta({ id: 'ModelParams', description: MODEL_PARAMS.description });
  const entry = objectOf(MODEL_ENTRY, {
    ...Object.fromEntries(DIALECTS.map((dialect) => [dialect, params])),
    model_info: z.record(z.string(), z.unknown()).meta({
      description: 'Notes about the model, kept as they are; cost fields count as in litellm_params.',
    }),
  }).meta({
    description: MODEL_ENTRY.description,
    oneOf: DIALECTS.map((dialect) => ({ required: [dialect] })),
  });
  const general = objectOf(GENERAL, {
    pass_through_endpoints: z
      .array(objectOf(ENDPOINT))
      .nullable()
      .meta({ description: 'Routes of your own.' }),
    tls: objectOf(TLS),
  });
  const library = objectOf(LIBRARY)
    .meta({ id: 'LibrarySettings', description: LIBRARY.description })
    .nullable();
  const root = objectOf(TOP, {
    model_list: z.array(entry).nullable().meta({ description: 'The models that clients may ask for.' }),
    general_settings: general.nullable(),
    router_settings: objectOf(ROUTER).nullable(),
    ...Object.fromEntries(LIBRARY_SECTIONS.map((name) => [name, library])),
  }).meta({
    title: 'Sluice configuration',
    description: TOP.description,
    patternProperties: { '^x-': { description: 'Free: a place for anchors.' } },
  });
  const schema = z.toJSONSchema(root, {
    target: 'draft-07',
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      const preset = z.globalRegistry.get(zodSchema)?.default;
      if (preset !== undefined) jsonSchema.default = preset as never;
    },
  });
  return JSON.parse(JSON.stringify(schema), (_key, value) => simplified(value));
}

/** Says the same in fewer words: a lone reference without its wrapper, no rule that keys are texts. */
function simplified(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const { propertyNames: _texts, ...rest } = value as Readonly<Record<string, unknown>>;
  const { allOf } = rest;
  return Array.isArray(allOf) && allOf.length === 1 && Object.keys(rest).length === 1 ? allOf[0] : rest;
}

function objectOf<F extends Fields>(section: Section<F>, nested: Readonly<Record<string, z.ZodType>> = {}) {
  const properties: Record<string, z.ZodType> = {};
  for (const [key, type] of Object.entries({ ...section.used, ...nested })) {
    properties[key] = section.required.includes(key) ? type : type.optional();
  }
  for (const key of section.ignored) properties[key] = NOT_ACTED_ON.optional();
  const families = section.ignoredPrefixes.map((prefix) => [
    `^${prefix}`,
    { $ref: '#/definitions/NotActedOn' },
  ]);
  return z.strictObject(properties).meta({
    description: section.description,
    ...(families.length === 0 ? {} : { patternProperties: Object.fromEntries(families) }),
  });
}

import type { DescMessage } from '@bufbuild/protobuf';
import type { Binding } from './binding.ts';
import type { Parameter, Schema } from './openapi-document.ts';
import { type PathParameter, patternOf } from './openapi-path.ts';
import { requiredFields } from './openapi-rules.ts';
import { wellKnownSchema } from './openapi-scalars.ts';
import type { SchemaTable } from './openapi-schemas.ts';
import { parameterReader } from './parameter-value.ts';

export function pathParameter(parameter: PathParameter, binding: Binding, table: SchemaTable): Parameter {
  const { name, variable, whole, rest } = parameter;
  const field = variable?.fields.at(-1);
  const { description, ...schema }: Schema = field === undefined ? {} : table.field(field);
  const notes = [
    ...(typeof description === 'string' ? [description] : []),
    ...(variable !== null && !whole
      ? [`A part of \`${variable.fieldPath.join('.')}\`, \`${patternOf(binding, variable)}\`.`]
      : []),
    ...(rest ? ['It may hold slashes, and may be empty.'] : []),
  ];
  return {
    name,
    in: 'path',
    required: true,
    ...(notes.length > 0 && { description: notes.join(' ') }),
    schema: whole && field !== undefined ? schema : { type: 'string' },
  };
}

/**
 * The query parameters of a message: each field that is a scalar, an enum or a list of these, by its dotted path.
 * What can't be written in a query (maps, lists of messages, free JSON, a message within itself) has none.
 * @param bound dotted paths of the fields that stand in the path or in the body
 */
export function queryParameters(
  message: DescMessage,
  bound: ReadonlySet<string>,
  table: SchemaTable,
): Parameter[] {
  return parametersWithin(message, bound, table, [], [message]);
}

function parametersWithin(
  message: DescMessage,
  bound: ReadonlySet<string>,
  table: SchemaTable,
  prefix: readonly string[],
  trail: readonly DescMessage[],
): Parameter[] {
  return message.fields.flatMap((field) => {
    const path = [...prefix, field.name];
    const name = path.join('.');
    if (bound.has(name)) return [];
    if (parameterReader(field) !== null) {
      const { description, deprecated, ...schema } = table.field(field);
      const required = prefix.length === 0 && requiredFields(message).has(field);
      return [
        {
          name,
          in: 'query' as const,
          ...(typeof description === 'string' && { description }),
          ...(required && { required: true as const }),
          ...(deprecated === true && { deprecated: true as const }),
          schema,
        },
      ];
    }
    const nested = field.fieldKind === 'message' ? field.message : null;
    if (nested === null || wellKnownSchema(nested) !== null || trail.includes(nested)) return [];
    return parametersWithin(nested, bound, table, path, [...trail, nested]);
  });
}

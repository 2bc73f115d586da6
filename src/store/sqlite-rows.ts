import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { Json } from '../base/json.ts';
import type { StoredConfiguration, StoredRoute } from './store.ts';

export type Row = Readonly<Record<string, SQLOutputValue>>;
export type Parameters = Readonly<Record<string, SQLInputValue>>;

/*
 * Rows ↔ values. The tables are STRICT, so a column holds what its type says; a value that isn't what the code expects
 * shows a damaged file, or one that was changed by hand, and is an error.
 */

export function parametersFromConfiguration(configuration: StoredConfiguration): Parameters {
  const { configId, modelId, modelName, modelType, modelKwargs } = configuration;
  return { configId, modelId, modelName, modelType, modelKwargs: JSON.stringify(modelKwargs) };
}

export function configurationFrom(row: Row): StoredConfiguration {
  return {
    configId: text(row, 'config_id'),
    modelId: text(row, 'model_id'),
    modelName: text(row, 'model_name'),
    modelType: text(row, 'model_type'),
    modelKwargs: json(row, 'model_kwargs') as StoredConfiguration['modelKwargs'],
  };
}

export function parametersFromRoute(route: StoredRoute): Parameters {
  return {
    id: route.id,
    path: route.path,
    target: route.target,
    headers: JSON.stringify(route.headers),
    includeSubpath: route.includeSubpath === null ? null : Number(route.includeSubpath),
    methods: JSON.stringify(route.methods),
    forwardHeaders: Number(route.forwardHeaders),
    auth: Number(route.auth),
    defaultQueryParams: JSON.stringify(route.defaultQueryParams),
    costPerRequest: route.costPerRequest,
    timeoutMs: route.timeoutMs,
  };
}

export function routeFrom(row: Row): StoredRoute {
  return {
    id: text(row, 'id'),
    path: text(row, 'path'),
    target: text(row, 'target'),
    headers: json(row, 'headers') as StoredRoute['headers'],
    includeSubpath: flag(row, 'include_subpath'),
    methods: methodsFrom(row),
    forwardHeaders: flag(row, 'forward_headers') ?? false,
    auth: flag(row, 'auth') ?? true,
    defaultQueryParams: json(row, 'default_query_params') as StoredRoute['defaultQueryParams'],
    costPerRequest: number(row, 'cost_per_request'),
    timeoutMs: number(row, 'timeout_ms'),
  };
}

export function methodsFrom(row: Row): readonly string[] {
  return texts(row, 'methods');
}

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new TypeError(`column ${column} holds no text`);
  return value;
}

export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : text(row, column);
}

export function number(row: Row, column: string): number | null {
  const value = row[column];
  if (value === null || typeof value === 'number') return value;
  throw new TypeError(`column ${column} holds no number`);
}

function flag(row: Row, column: string): boolean | null {
  const value = number(row, column);
  return value === null ? null : value !== 0;
}

/** A list of texts, which has no mappings that could have a prototype: to look for them would take ten times as long. */
export function texts(row: Row, column: string): readonly string[] {
  return JSON.parse(text(row, column)) as readonly string[];
}

/** Mappings lose their prototype: `headers['constructor']` is what was stored under that name, or nothing. */
export function json(row: Row, column: string): Json {
  return JSON.parse(text(row, column), (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.setPrototypeOf(value, null)
      : value,
  );
}

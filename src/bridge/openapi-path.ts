import type { Binding, BoundVariable } from './binding.ts';

/** A template as OpenAPI writes it. */
export interface WrittenPath {
  /** `/shelves/{shelf}/books`; it never ends in a slash, but for the root. */
  readonly path: string;
  readonly parameters: readonly PathParameter[];
}

export interface PathParameter {
  readonly name: string;
  /** Null: a wildcard whose text goes nowhere. */
  readonly variable: BoundVariable | null;
  /** It is the variable's whole value. */
  readonly whole: boolean;
  /** `**`: it may hold slashes, or be empty. */
  readonly rest: boolean;
}

/**
 * Writes a template with one parameter for each wildcard, since a parameter of OpenAPI holds no slash and no literal:
 * `/v1/{name=shelves/*}/books` is `/v1/shelves/{name}/books`; a variable of two wildcards is `{name_1}` and `{name_2}`.
 */
export function writePath({ template, variables }: Binding): WrittenPath {
  const parameters: PathParameter[] = [];
  const segments = template.segments.map((segment, index) => {
    if (segment.kind === 'literal') return encodeURIComponent(segment.text);
    const variable = variables.find(({ start, end }) => start <= index && index < end) ?? null;
    const whole = variable !== null && variable.end - variable.start === 1;
    const name = nameFor(template, variable, index);
    parameters.push({ name, variable, whole, rest: segment.kind === 'rest' });
    return `{${name}}`;
  });
  const verb = template.verb === '' ? '' : `:${encodeURIComponent(template.verb)}`;
  return { path: `/${segments.join('/')}${verb}`, parameters };
}

/** What the variable looks like: `shelves/*`. */
export function patternOf({ template }: Binding, variable: BoundVariable): string {
  return template.segments
    .slice(variable.start, variable.end)
    .map((segment) => (segment.kind === 'literal' ? segment.text : segment.kind === 'single' ? '*' : '**'))
    .join('/');
}

function nameFor(template: Binding['template'], variable: BoundVariable | null, index: number): string {
  const wildcards = template.segments
    .map((segment, at) => (segment.kind === 'literal' ? -1 : at))
    .filter((at) => at !== -1 && (variable === null || (variable.start <= at && at < variable.end)));
  const name = variable?.fieldPath.join('.') ?? 'segment';
  return wildcards.length === 1 && variable !== null ? name : `${name}_${wildcards.indexOf(index) + 1}`;
}

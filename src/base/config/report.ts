import { type Fault, formatFault } from './fault.ts';

/** Keys and indexes from the root of the file to a value. */
export type Path = readonly (string | number)[];

/** Where something stands in the text, both 1-based. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Finds where a path stands in the text. */
export interface Places {
  /** The value's place, or that of the nearest enclosing value that exists. */
  valuePlace(path: Path): Place;
  /** The place of the key that introduces the value. */
  keyPlace(path: Path): Place;
}

/** How many further places a grouped warning names before it only counts them. */
const PLACES_SHOWN = 5;

interface Warning extends Fault {
  readonly group: string | null;
}

/**
 * Collects what is wrong (`faults`) and what deserves a second look (`warnings`) while a configuration is read,
 * so that everything is told at once.
 */
export class Report {
  readonly #file: string | null;
  readonly #places: Places;
  readonly #faults: Fault[] = [];
  readonly #warnings: Warning[] = [];

  constructor(file: string | null, places: Places) {
    this.#file = file;
    this.#places = places;
  }

  get hasFaults(): boolean {
    return this.#faults.length > 0;
  }

  /** A fault of the value at `path`. */
  fault(path: Path, message: string): void {
    this.#faults.push(this.#located(path, this.#places.valuePlace(path), message));
  }

  /** A fault of the key itself: it is unknown, or one too many. */
  faultAtKey(path: Path, message: string): void {
    this.#faults.push(this.#located(path, this.#places.keyPlace(path), message));
  }

  /** A fault of the text, before there are values. */
  faultAtPlace(place: Place, message: string): void {
    this.#faults.push(this.#located([], place, message));
  }

  /** A fault of an environment variable. */
  faultOfVariable(name: string, message: string): void {
    this.#faults.push({ file: null, line: null, column: null, path: name, message });
  }

  warn(path: Path, message: string): void {
    this.#warnings.push({ ...this.#located(path, this.#places.keyPlace(path), message), group: null });
  }

  /** A warning that would be repeated for many entries: it is told once, with the lines of the others. */
  warnOfGroup(group: string, path: Path, message: string): void {
    this.#warnings.push({ ...this.#located(path, this.#places.keyPlace(path), message), group });
  }

  warnOfVariable(name: string, message: string): void {
    this.#warnings.push({ file: null, line: null, column: null, path: name, message, group: null });
  }

  /** Every fault so far, those of the text first, in the order of their places. */
  faults(): readonly Fault[] {
    return this.#faults.toSorted(byPlace);
  }

  /** Every warning as one line, in the order of their places. */
  warnings(): readonly string[] {
    const sorted = this.#warnings.toSorted(byPlace);
    const groups = Map.groupBy(sorted, (warning) => warning.group);
    const lines: string[] = [];
    for (const warning of sorted) {
      if (warning.group === null) {
        lines.push(formatFault(warning));
        continue;
      }
      const [first, ...others] = groups.get(warning.group) ?? [];
      if (first === warning) lines.push(formatFault(warning) + alsoAt(others));
    }
    return lines;
  }

  #located(path: Path, place: Place, message: string): Fault {
    return { file: this.#file, ...place, path: formatPath(path), message };
  }
}

function alsoAt(others: readonly Warning[]): string {
  const lines = [...new Set(others.map((other) => other.line))];
  if (lines.length === 0) return '';
  const shown = lines.slice(0, PLACES_SHOWN).join(', ');
  const rest = lines.length - PLACES_SHOWN;
  return ` (also on line ${shown}${rest > 0 ? ` and ${rest} more` : ''})`;
}

function byPlace(a: Fault, b: Fault): number {
  const lineA = a.line ?? Number.MAX_SAFE_INTEGER;
  const lineB = b.line ?? Number.MAX_SAFE_INTEGER;
  return lineA - lineB || (a.column ?? 0) - (b.column ?? 0);
}

/**
 * `model_list[0].litellm_params.model`. The routes are known by the name of their list alone, without the
 * `general_settings` in front.
 */
function formatPath(path: Path): string {
  const shown = path[0] === 'general_settings' && path[1] === 'pass_through_endpoints' ? path.slice(1) : path;
  let text = '';
  for (const step of shown) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[\w-]+$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

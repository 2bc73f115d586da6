import type { PathRoute, Timeouts } from './config.ts';
import type { Fault } from './fault.ts';
import { refersToEnvironment } from './interpolate.ts';
import { readEndpoint } from './pass-through.ts';
import { type Path, Report } from './report.ts';
import type { Reading } from './section.ts';
import { isYamlObject, type YamlObject, type YamlTree, type YamlValue } from './yaml-tree.ts';

export type CreatedRouteReading =
  | { readonly kind: 'route'; readonly route: PathRoute }
  /** `path` of a fault is the field's: `headers.Authorization`; its file and line mean nothing. */
  | { readonly kind: 'faults'; readonly faults: readonly Fault[] };

/**
 * Reads a route that was given through the API: the keys and rules are those of `pass_through_endpoints`, but `auth` is
 * on by default, an adapter can't be named, the environment isn't reached, and the route is guarded.
 */
export function readCreatedRoute(given: YamlObject, timeouts: Timeouts): CreatedRouteReading {
  const places = { valuePlace: () => NOWHERE, keyPlace: () => NOWHERE };
  const tree: YamlTree = { root: given, faults: [], ...places };
  const report = new Report(null, places);
  refuseOutsiders(given, [], report);
  if (report.hasFaults) return { kind: 'faults', faults: report.faults() };
  const reading: Reading = { report, tree, homes: new Map(), environment: {} };
  const route = readEndpoint({ auth: true, ...given }, [], timeouts, reading);
  if (route?.target.kind === 'adapter') {
    report.fault(
      ['target'],
      'must be an absolute http or https URL; only the configuration file can name an adapter',
    );
  }
  if (route === null || report.hasFaults) return { kind: 'faults', faults: report.faults() };
  return { kind: 'route', route: { ...route, guarded: true, line: null } };
}

/** Of a header, of a parameter; servers take no longer ones. */
const MAX_TEXT_LENGTH = 8_192;

const NOWHERE = { line: 1, column: 1 };

/**
 * In the file `os.environ/NAME` is its author's to write; from here it would show what the gateway's process holds.
 * And a name that the section's reader would pass over in silence (zod leaves `__proto__` out) is told of, and so is
 * what is too long to be anything.
 */
function refuseOutsiders(value: YamlValue, path: Path, report: Report): void {
  if (typeof value === 'string') {
    if (value.length > MAX_TEXT_LENGTH) report.fault(path, `is longer than ${MAX_TEXT_LENGTH} characters`);
    if (!refersToEnvironment(value)) return;
    report.fault(
      path,
      "os.environ/ works in the configuration file only: given through the API, it would read the gateway's own environment. Give the value itself",
    );
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) refuseOutsiders(item, [...path, index], report);
  } else if (isYamlObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      if (key === '__proto__') report.fault([...path, key], "can't be a name here");
      else if (key.length > MAX_TEXT_LENGTH)
        report.fault(path, `has a name that is longer than ${MAX_TEXT_LENGTH} characters`);
      else refuseOutsiders(item, [...path, key], report);
    }
  }
}

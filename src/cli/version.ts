import { existsSync, readFileSync } from 'node:fs';

/** package.json stands two folders up in the sources, and one more in the built package, which is in dist. */
const PLACES = ['../../package.json', '../../../package.json'].map((path) => new URL(path, import.meta.url));

/** The package's version. */
export const VERSION: string = JSON.parse(
  readFileSync(PLACES.find((place) => existsSync(place)) ?? 'package.json', 'utf8'),
).version;

import { readFileSync } from 'node:fs';

/** The package's version; package.json stands two folders up in the sources and in the built package alike. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version;

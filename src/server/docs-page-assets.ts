import { existsSync, readFileSync } from 'node:fs';

/**
 * Files of Swagger UI. The published package has them beside this module (scripts/copy-swagger-ui.ts) and doesn't
 * depend on swagger-ui-dist: that would install @scarf/scarf, which reports every installation to a third party.
 */
export const SWAGGER_UI_FILES = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'] as const;
export type SwaggerUiFile = (typeof SWAGGER_UI_FILES)[number];

const COPIED = new URL('./swagger-ui/', import.meta.url);

/** Reads one of them, from node_modules where there is no copy. */
export function readSwaggerUi(file: SwaggerUiFile): Buffer {
  const copy = new URL(file, COPIED);
  return readFileSync(existsSync(copy) ? copy : librarysOwn(file));
}

/** A file of the library itself, which a clone has. */
export function librarysOwn(file: string): URL {
  return new URL(file, import.meta.resolve('swagger-ui-dist/package.json'));
}

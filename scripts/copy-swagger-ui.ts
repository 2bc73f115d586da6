/** Part of the build: puts Swagger UI's files, with its licence, where src/server/docs-page-assets.ts looks for them. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { librarysOwn, SWAGGER_UI_FILES } from '../src/server/docs-page-assets.ts';

const TARGET = new URL('../dist/src/server/swagger-ui/', import.meta.url);

mkdirSync(TARGET, { recursive: true });
for (const file of [...SWAGGER_UI_FILES, 'swagger-ui-bundle.js.LICENSE.txt', 'LICENSE', 'NOTICE']) {
  copyFileSync(librarysOwn(file), new URL(file, TARGET));
}

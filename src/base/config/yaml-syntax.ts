import type { Document, YAMLError } from 'yaml';
import type { Place } from './report.ts';

/** Messages with a remedy for the parser's errors that people meet most. */
const REMEDIES: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_SCALAR_START: 'a text that begins like this must stand in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second key on this line, or a text with ": " in it; put the text in quotes',
  MULTILINE_IMPLICIT_KEY: 'the line above goes on here; check the indentation',
  MULTIPLE_DOCS: 'a second document begins here; a configuration is one',
  NON_STRING_KEY: 'a key must be a plain text',
  RESOURCE_EXHAUSTION: 'is nested too deeply',
  TAB_AS_INDENT: 'a tab indents this line; YAML wants spaces',
};

/** What the YAML parser rejects: the first error of each line, since the others follow from it. */
export function syntaxFaults(
  document: Document.Parsed,
  placeAt: (offset: number) => Place,
): readonly { readonly place: Place; readonly message: string }[] {
  const exhausted = document.errors.find((error) => error.code === 'RESOURCE_EXHAUSTION');
  const errors = exhausted === undefined ? document.errors : [exhausted];
  const byLine = new Map<number, { place: Place; message: string }>();
  for (const error of errors) {
    const place = placeAt(error.pos[0]);
    if (byLine.has(place.line)) continue;
    const message = REMEDIES[error.code] ?? `${error.message[0]?.toLowerCase()}${error.message.slice(1)}`;
    byLine.set(place.line, { place, message: `not YAML: ${message}` });
  }
  return [...byLine.values()];
}

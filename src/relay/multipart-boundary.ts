import { parseHeaderParameters } from './header-parameters.ts';

const FORM_DATA = /^[ \t]*multipart\/form-data/i;
/** RFC 2046 §5.1.1: 1 to 70 of these, the last not a space. */
const BOUNDARY = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/;

/** The request's body claims to be a multipart form. */
export function isMultipartForm(contentType: string): boolean {
  return FORM_DATA.test(contentType);
}

/**
 * The boundary that a multipart form's Content-Type names, quotes removed.
 * @returns null where there is none, or one that parsers read differently and so would cut the body at different
 *   places: given twice or as `boundary*`, with a backslash, unquoted with more than a token's characters.
 */
export function multipartBoundary(contentType: string): string | null {
  const type = FORM_DATA.exec(contentType);
  if (type === null) return null;
  const parameters = parseHeaderParameters(contentType.slice(type[0].length));
  const named = parameters?.filter(({ name }) => name === 'boundary' || name.startsWith('boundary*'));
  const [boundary, second] = named ?? [];
  if (boundary?.name !== 'boundary' || second !== undefined || contentType.includes('\\')) return null;
  return BOUNDARY.test(boundary.value) ? boundary.value : null;
}

import { parseHeaderParameters } from './header-parameters.ts';

/**
 * What a part of a multipart form is to the model scanner: the model's field; something that one upstream's parser
 * takes for it and another's doesn't; anything else.
 */
type FormPart = 'model' | 'doubtful' | 'other';

const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/;
const FORM_DATA = /^form-data(?=[ \t]*(?:;|$))/i;
const IDENTITY = /^(?:7bit|8bit|binary)[ \t]*$/i;
/** What any parser needs to see before it calls a part `model`; `name*` may hide the word. Backslashes removed. */
const HINT = /\bname\s*(?:\*|=[\s"']*model)/i;

/**
 * Judges a part by its header block, without the blank line at its end.
 *
 * `model` only by the letter of RFC 7578 §4.2: one Content-Disposition `form-data` with one `name`, not a file.
 * `doubtful` is what else may come out as `model` somewhere: Go and older versions of Starlette's parser decode
 * `name*=utf-8''model`, Go takes an empty `filename` for none, ASP.NET ignores case, of two headers or two names here
 * the first wins and there the last, and what isn't a header at all is repaired by each in its own way.
 */
export function judgePart(headers: string): FormPart {
  const doubt = HINT.test(headers.replaceAll('\\', '')) ? 'doubtful' : 'other';
  let disposition: string | null = null;
  let isEncoded = false;
  for (const line of headers === '' ? [] : headers.split('\r\n')) {
    const [, name, value] = HEADER_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return doubt;
    const field = name.toLowerCase();
    if (field === 'content-disposition') {
      if (disposition !== null) return doubt;
      disposition = value;
    } else if (field === 'content-transfer-encoding' && !IDENTITY.test(value)) {
      isEncoded = true;
    }
  }
  if (disposition === null) return 'other';

  const type = FORM_DATA.exec(disposition);
  const parameters = type === null ? null : parseHeaderParameters(disposition.slice(type[0].length));
  // A quote behind a backslash ends the string for some parsers, and what follows is then a parameter.
  if (parameters === null || disposition.includes('\\"')) return doubt;
  const names = parameters.filter(({ name }) => name === 'name' || name.startsWith('name*'));
  const files = parameters.filter(({ name }) => name === 'filename' || name.startsWith('filename*'));
  const [field, second] = names;
  if (field === undefined) return 'other';
  if (second !== undefined || field.name !== 'name') return doubt;
  if (files.some(({ name, value }) => name === 'filename' && value !== '')) return 'other';
  if (field.value.toLowerCase() !== 'model') return 'other';
  const isPlain = field.value === 'model' && !disposition.includes('\\');
  return isPlain && files.length === 0 && !isEncoded ? 'model' : 'doubtful';
}

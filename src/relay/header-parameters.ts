/** One `name=value` behind a header's value. */
interface HeaderParameter {
  /** Lower case. */
  readonly name: string;
  /** Quotes and escaping backslashes removed. */
  readonly value: string;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"((?:[\\t !#-\\[\\]-~\\x80-\\uffff]|\\\\[\\t -~\\x80-\\uffff])*)"';
const PARAMETER = new RegExp(`[ \\t]*;[ \\t]*(?:(${TOKEN})=(?:(${TOKEN})|${QUOTED}))?`, 'y');
const REST = /[ \t]*$/y;

/**
 * Parses the parameters of a header value from the first semicolon on, by the letter of RFC 9110 §5.6.6.
 * @returns null where the letter isn't kept: lenient parsers each make something else of that.
 */
export function parseHeaderParameters(text: string): readonly HeaderParameter[] | null {
  const parameters: HeaderParameter[] = [];
  let end = 0;
  for (;;) {
    PARAMETER.lastIndex = end;
    const match = PARAMETER.exec(text);
    if (match === null) break;
    end = PARAMETER.lastIndex;
    const [, name, token, quoted] = match;
    if (name === undefined) continue;
    parameters.push({ name: name.toLowerCase(), value: token ?? (quoted ?? '').replace(/\\(.)/g, '$1') });
  }
  REST.lastIndex = end;
  return REST.test(text) ? parameters : null;
}

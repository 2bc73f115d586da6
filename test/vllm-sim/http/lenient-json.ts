/**
 * Parses JSON, and JSON with trailing commas. vLLM itself refuses those with 400; the simulator doesn't, because
 * one of the documented curl commands has a comma behind its last member and must get a meaningful answer.
 *
 * @throws SyntaxError for anything else that is not JSON.
 */
export function parseLenientJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const stripped = withoutTrailingCommas(text);
    if (stripped === text) throw error;
    return JSON.parse(stripped);
  }
}

/** A string literal, or a comma before a closing bracket: matching strings whole keeps commas in them safe. */
const STRING_OR_TRAILING_COMMA = /"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])/gs;

function withoutTrailingCommas(text: string): string {
  return text.replace(STRING_OR_TRAILING_COMMA, (match) => (match === ',' ? '' : match));
}

/** Percent-decodes UTF-8; null where an escape is malformed or the bytes aren't UTF-8. A `+` stays one. */
export function decodePercent(text: string): string | null {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

const ENCODED_SLASH = /(%2f)/i;

/**
 * As `decodePercent`, but `%2F` stays as it came, so that a slash within a segment and one between two can be told
 * apart (google/api/http.proto on variables of several segments).
 */
export function decodePercentButSlash(text: string): string | null {
  if (!text.includes('%')) return text;
  const decoded: string[] = [];
  for (const part of text.split(ENCODED_SLASH)) {
    const piece = part.length === 3 && ENCODED_SLASH.test(part) ? part : decodePercent(part);
    if (piece === null) return null;
    decoded.push(piece);
  }
  return decoded.join('');
}

/** Percent-decodes one name or value of a query, where `+` is a space. */
export function decodeQueryPart(text: string): string | null {
  return decodePercent(text.includes('+') ? text.replaceAll('+', ' ') : text);
}

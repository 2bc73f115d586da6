/** A multipart/form-data body (RFC 7578), parsed whole; enough for what the audio endpoints are sent. */
export interface Form {
  readonly fields: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, FormFile>;
}

export interface FormFile {
  readonly filename: string;
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** @returns null when `contentType` is not multipart/form-data, or the body is not what it announces. */
export function parseForm(contentType: string, body: Buffer): Form | null {
  if (!/^multipart\/form-data\b/i.test(contentType)) return null;
  const match = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) return null;
  const fields = new Map<string, string>();
  const files = new Map<string, FormFile>();
  // Every delimiter but the first stands behind a CRLF; with one put before the body they are all alike.
  const bytes = Buffer.concat([Buffer.from('\r\n'), body]);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  let at = bytes.indexOf(delimiter);
  while (at !== -1) {
    const start = at + delimiter.length;
    if (bytes.subarray(start, start + 2).equals(Buffer.from('--'))) return { fields, files };
    const end = bytes.indexOf(delimiter, start);
    if (end === -1) return null;
    addPart(bytes.subarray(start, end), fields, files);
    at = end;
  }
  return null;
}

function addPart(part: Buffer, fields: Map<string, string>, files: Map<string, FormFile>): void {
  const blank = part.indexOf('\r\n\r\n');
  if (blank === -1) return;
  const head = part.subarray(0, blank).toString('utf8');
  const bytes = part.subarray(blank + 4);
  const name = /^content-disposition:.*?[;\s]name="([^"]*)"/im.exec(head)?.[1];
  if (name === undefined) return;
  const filename = /^content-disposition:.*?[;\s]filename="([^"]*)"/im.exec(head)?.[1];
  if (filename === undefined) {
    fields.set(name, bytes.toString('utf8'));
  } else {
    const contentType = /^content-type:\s*(\S+)/im.exec(head)?.[1] ?? 'application/octet-stream';
    files.set(name, { filename, contentType, bytes: Buffer.from(bytes) });
  }
}

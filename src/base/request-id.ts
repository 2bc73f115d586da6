import { randomBytes } from 'node:crypto';

const prefix = randomBytes(6).toString('base64url');
let count = 0;

/** An id for one request: unique across instances by its random prefix, cheap by its counter. */
export function nextRequestId(): string {
  return `${prefix}-${(count++).toString(36)}`;
}

/** What the load, the gateway's configuration and the yardstick agree on. */
import { masterKey } from '../load/exchange.ts';

export const CONFIGURATION = {
  modelId: 'bench-model',
  modelName: 'bench/upstream-model',
  modelType: 'openai',
  modelKwargs: { temperature: 0.7, max_tokens: 64 },
} as const;

export const CHUNK_BYTES = 4096;

/** A GET of a REST path. */
export function restRequest(path: string): string {
  return [`GET ${path} HTTP/1.1`, ...COMMON, '', ''].join('\r\n');
}

/** A unary call in Connect's JSON. */
export function connectRequest(method: string, message: unknown): string {
  const body = JSON.stringify(message);
  const own = [
    'Content-Type: application/json',
    'Connect-Protocol-Version: 1',
    `Content-Length: ${body.length}`,
  ];
  return `${[`POST /${method} HTTP/1.1`, ...COMMON, ...own, '', ''].join('\r\n')}${body}`;
}

const COMMON = [
  'Host: localhost',
  `Authorization: Bearer ${masterKey}`,
  'Accept: */*',
  'User-Agent: sluice-bench',
];

import { hash } from 'node:crypto';
import type { StoredKey } from '../../src/store/key-store.ts';
import type { StoredConfiguration, StoredRoute } from '../../src/store/store.ts';

export function configuration(
  configId: string,
  parts: Partial<StoredConfiguration> = {},
): StoredConfiguration {
  return {
    configId,
    modelId: 'qwen',
    modelName: 'Qwen/Qwen2.5-7B-Instruct',
    modelType: 'vllm',
    modelKwargs: {},
    ...parts,
  };
}

export function route(id: string, parts: Partial<StoredRoute> = {}): StoredRoute {
  return {
    id,
    path: `/${id}`,
    target: 'https://target.example',
    headers: {},
    includeSubpath: null,
    methods: [],
    forwardHeaders: false,
    auth: true,
    defaultQueryParams: {},
    costPerRequest: null,
    timeoutMs: null,
    ...parts,
  };
}

/** When the processes of store-process.ts spend. */
export const SPENT_AT = Date.UTC(2026, 0, 1);

/** The token of a key that `key` makes. */
export function tokenOf(id: string): string {
  return hash('sha256', `sk-${id}`);
}

export function key(id: string, parts: Partial<StoredKey> = {}): StoredKey {
  return {
    id,
    token: tokenOf(id),
    previous: null,
    keyName: `sk-...${id.slice(-4)}`,
    alias: null,
    models: [],
    allowedRoutes: [],
    rpmLimit: null,
    tpmLimit: null,
    maxParallelRequests: null,
    maxBudget: null,
    budget: null,
    spend: 0,
    userId: null,
    teamId: null,
    metadata: {},
    tags: [],
    blocked: false,
    expiresAt: null,
    createdAt: 1_750_000_000_000,
    updatedAt: 1_750_000_000_000,
    ...parts,
  };
}

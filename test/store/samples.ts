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

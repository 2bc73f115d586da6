import { canonicalPath } from '../base/request-path.ts';

/**
 * vLLM's administrative endpoints. Its own `--api-key` protects none of them (it covers /v1, /v2 and /inference
 * alone), and its documentation advises a proxy in front: so they need the master key here.
 */
const ADMIN_ENDPOINTS: ReadonlySet<string> = new Set([
  'sleep',
  'wake_up',
  'is_sleeping',
  'pause',
  'resume',
  'is_paused',
  'collective_rpc',
  'server_info',
  'load_lora_adapter',
  'unload_lora_adapter',
  'start_profile',
  'stop_profile',
  'scale_elastic_ep',
  'is_scaling_elastic_ep',
  'abort_requests',
  'init_weight_transfer_engine',
  'start_weight_update',
  'update_weights',
  'finish_weight_update',
  'get_world_size',
]);

const CACHE_RESET = /^reset_[a-z_]*cache$/;
const WEIGHT_FAMILY = /^(?:[a-z]+_)*weights?(?:_[a-z]+)*$/;

/** Verdicts by endpoint as it was sent: clients use a handful of them. */
const verdicts = new Map<string, boolean>();
const VERDICTS_LIMIT = 1024;
const VERDICTS_LENGTH = 256;

/**
 * Whether an endpoint of a vLLM server administers it. Reads the path as the most lenient server would, so that
 * `%73leep` and `//sleep/` are what they mean; goes by the last segment, so that a base path changes nothing.
 */
export function isAdminEndpoint(endpoint: string): boolean {
  const known = verdicts.get(endpoint);
  if (known !== undefined) return known;
  const path = canonicalPath(endpoint);
  const last = path.slice(path.lastIndexOf('/') + 1);
  const verdict = ADMIN_ENDPOINTS.has(last) || CACHE_RESET.test(last) || WEIGHT_FAMILY.test(last);
  if (endpoint.length > VERDICTS_LENGTH) return verdict;
  if (verdicts.size >= VERDICTS_LIMIT) verdicts.clear();
  verdicts.set(endpoint, verdict);
  return verdict;
}

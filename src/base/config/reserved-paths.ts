/** First segments of the paths that the control plane serves; nothing else may be configured there. */
const SEGMENTS: ReadonlySet<string> = new Set([
  'config',
  'docs',
  'key',
  'llm',
  'metrics',
  'openapi.json',
  'spend',
  'ui',
]);

/** Beginnings of such segments: `/health*`, and the RPC services. */
const BEGINNINGS: readonly string[] = ['health', 'sluice.v1.', 'grpc.'];

/** True for a path of the control plane, whatever the percent-encoding of its first segment. */
export function isControlPlanePath(path: string): boolean {
  const written = path.split('/')[1] ?? '';
  let segment = written;
  try {
    segment = decodeURIComponent(written);
  } catch {
    // Not decodable: then it is no path of ours either.
  }
  return SEGMENTS.has(segment) || BEGINNINGS.some((beginning) => segment.startsWith(beginning));
}

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
  const end = path.indexOf('/', 1);
  const written = end === -1 ? path.slice(1) : path.slice(1, end);
  const segment = written.includes('%') ? decoded(written) : written;
  return SEGMENTS.has(segment) || BEGINNINGS.some((beginning) => segment.startsWith(beginning));
}

/** What can't be decoded is no path of ours either. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

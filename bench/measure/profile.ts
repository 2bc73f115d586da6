import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The parts of V8's .cpuprofile that are read here; times are microseconds of the monotonic clock. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
  readonly startTime: number;
}

export interface Span {
  readonly startUs: number;
  readonly endUs: number;
}

export interface SelfTime {
  readonly name: string;
  readonly place: string;
  /** Of the main thread's busy time within the spans. */
  readonly sharePercent: number;
}

/**
 * The functions with the most self time within the measured spans, start-up and warm-up left out.
 *
 * @param directory where `--cpu-prof` wrote; of several processes' profiles the largest is read
 */
export function costliestFunctions(
  directory: string,
  spans: readonly Span[],
  count: number,
): readonly SelfTime[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.cpuprofile'));
  const largest = files
    .map((name) => join(directory, name))
    .toSorted((a, b) => statSync(b).size - statSync(a).size)[0];
  if (largest === undefined) {
    throw new Error('no profile was written: the proxy must exit by itself on SIGTERM');
  }
  const profile = JSON.parse(readFileSync(largest, 'utf8')) as CpuProfile;
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const selfUs = new Map<string, number>();
  let busyUs = 0;
  let atUs = profile.startTime;
  profile.samples.forEach((id, i) => {
    const deltaUs = profile.timeDeltas[i] ?? 0;
    atUs += deltaUs;
    const frame = frames.get(id);
    if (frame === undefined || frame.functionName === '(idle)') return;
    if (!spans.some(({ startUs, endUs }) => atUs >= startUs && atUs <= endUs)) return;
    const key = `${(frame.functionName || '(anonymous)').slice(0, 60)}\t${placeOf(frame.url, frame.lineNumber)}`;
    selfUs.set(key, (selfUs.get(key) ?? 0) + deltaUs);
    busyUs += deltaUs;
  });
  return [...selfUs]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([key, us]) => {
      const [name = '', place = ''] = key.split('\t');
      return { name, place, sharePercent: (100 * us) / busyUs };
    });
}

/** Native functions have no place of their own. */
function placeOf(url: string, lineNumber: number): string {
  if (url === '') return '';
  const path = url.startsWith('file:') ? relative(process.cwd(), fileURLToPath(url)) : url;
  return `${path}:${lineNumber + 1}`;
}

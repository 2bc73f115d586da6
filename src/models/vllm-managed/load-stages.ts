import type { LoadProgress, LoadStage } from '../driver.ts';

/** What a line of vLLM's log tells about the load. */
interface Mark {
  readonly pattern: RegExp;
  readonly stage: LoadStage;
  /** Of the whole load when it is logged; with `until`, the first group's percentage leads from one to the other. */
  readonly percent: number;
  readonly until?: number;
}

/**
 * In the order in which vLLM 0.32 logs them; words that have changed between its versions are left out of the patterns.
 * The percentages are those of a load from a warm disk, where weights, compilation and graphs take about the same time.
 */
const MARKS: readonly Mark[] = [
  { pattern: /API server version/, stage: 'starting_process', percent: 2 },
  // They may hold any of the words below.
  { pattern: /non-default args/, stage: 'starting_process', percent: 3 },
  { pattern: /Initializing an? .*LLM engine/, stage: 'initializing_engine', percent: 6 },
  { pattern: /Starting to load model/, stage: 'loading_weights', percent: 10 },
  {
    pattern: /loading (?:.* )?shards:\s*(\d{1,3})%/i,
    stage: 'loading_weights',
    percent: 10,
    until: 48,
  },
  { pattern: /Loading weights took/, stage: 'loading_weights', percent: 48 },
  { pattern: /Model loading took/, stage: 'loading_weights', percent: 50 },
  { pattern: /torch\.compile takes/, stage: 'compiling', percent: 70 },
  { pattern: /torch\.compile|Dynamo bytecode|Compiling a graph/i, stage: 'compiling', percent: 52 },
  { pattern: /KV cache (size|memory)|# (GPU|CPU|cuda) blocks/i, stage: 'allocating_kv_cache', percent: 75 },
  { pattern: /Graph capturing finished/i, stage: 'capturing_graphs', percent: 92 },
  {
    pattern: /Capturing .*graphs?.*?:\s*(\d{1,3})%/i,
    stage: 'capturing_graphs',
    percent: 78,
    until: 91,
  },
  { pattern: /init engine .*took/i, stage: 'starting_server', percent: 95 },
  { pattern: /Starting vLLM (API )?server/i, stage: 'starting_server', percent: 97 },
  { pattern: /Application startup complete/, stage: 'starting_server', percent: 99 },
];

const ORDER: readonly LoadStage[] = [
  'starting_process',
  'initializing_engine',
  'loading_weights',
  'compiling',
  'allocating_kv_cache',
  'capturing_graphs',
  'starting_server',
  'ready',
];

/** Follows one load. Neither stage nor percentage ever falls: workers and draft models repeat the early stages. */
export class LoadStages {
  #stage: LoadStage = 'starting_process';
  #percent = 0;

  /** The beginning, before there is a line. */
  begin(): LoadProgress {
    return { stage: this.#stage, percent: this.#percent, line: null };
  }

  read(line: string): LoadProgress {
    for (const { pattern, stage, percent, until } of MARKS) {
      const match = pattern.exec(line);
      if (match === null) continue;
      const share = until === undefined ? 0 : Math.min(100, Number(match[1])) / 100;
      this.#advance(stage, percent + share * ((until ?? percent) - percent));
      break;
    }
    return { stage: this.#stage, percent: this.#percent, line };
  }

  /** It answers. */
  ready(): LoadProgress {
    this.#advance('ready', 100);
    return { stage: this.#stage, percent: this.#percent, line: null };
  }

  #advance(stage: LoadStage, percent: number): void {
    if (ORDER.indexOf(stage) > ORDER.indexOf(this.#stage)) this.#stage = stage;
    this.#percent = Math.max(this.#percent, Math.floor(percent));
  }
}

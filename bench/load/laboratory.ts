import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Child, Children } from '../measure/children.ts';
import type { JobMessage, JobName, JobReply, Jobs } from './jobs.ts';

/** The two sides of every measurement, upstream and load generator: one process on the load's core. */
export class Laboratory {
  readonly upstreamPort: number;
  readonly #generator: Child;

  private constructor(upstreamPort: number, generator: Child) {
    this.upstreamPort = upstreamPort;
    this.#generator = generator;
  }

  static async open(children: Children, loadCore: number | null): Promise<Laboratory> {
    const program = fileURLToPath(new URL('./generator.ts', import.meta.url));
    const command = [process.execPath, program];
    const generator = children.start({ name: 'load', command, core: loadCore, withChannel: true });
    const { port } = await nextMessage<{ readonly port: number }>(generator);
    return new Laboratory(port, generator);
  }

  /** Runs one job; rejects with the generator's own words when the load met anything but what it expects. */
  async run<N extends JobName>(name: N, input: Jobs[N]['input']): Promise<Jobs[N]['result']> {
    const reply = nextMessage<JobReply>(this.#generator);
    this.#generator.process.send({ name, input } as JobMessage);
    const outcome = await reply;
    if (!outcome.ok) throw new Error(outcome.fault);
    // The generator answers a job with that job's result: jobs.ts is the contract of both.
    return outcome.result as Jobs[N]['result'];
  }
}

async function nextMessage<T>(child: Child): Promise<T> {
  const isOver = new AbortController();
  const ended = once(child.process, 'exit', { signal: isOver.signal }).then(() => {
    throw new Error(child.exitReport() ?? `${child.name} ended`);
  });
  try {
    const [message] = await Promise.race([once(child.process, 'message', { signal: isOver.signal }), ended]);
    return message as T;
  } finally {
    isOver.abort();
    ended.catch(() => {});
  }
}

import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, createClient } from '@connectrpc/connect';
import { onTestFinished } from 'vitest';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { temporaryFolder } from '../helpers/program.ts';
import { SIM_COMMAND, scriptedVllm } from '../models/vllm-managed/fixture.ts';
import { transportTo, type Wire } from '../server/rpc-fixture.ts';

/** A status as REST has it. */
export interface Status {
  readonly model_id: string;
  readonly config_id: string;
  readonly state: string;
  readonly stage: string;
  readonly percent: number;
  readonly elapsed: string;
  readonly last_log_line: string;
  readonly failure: string;
}

export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed; null where it is no JSON. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export interface RestOptions {
  /** Sent as it is when it is a text, else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** ModelService of a gateway, by whatever protocol. */
export interface ControlPlane {
  readonly url: string;
  rest(method: string, path: string, options?: RestOptions): Promise<RestAnswer>;
  /** Stores a configuration of a model that the gateway runs itself; resolves with its id. */
  configure(modelId: string, modelKwargs?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Over REST, to the end of the load. */
  load(configId: string): Promise<RestAnswer>;
  client(wire: Wire): Client<typeof ModelService>;
  status(modelId: string): Promise<Status | undefined>;
  /** Resolves with the first status of a model that passes. */
  untilStatus(modelId: string, passes: (status: Status) => boolean): Promise<Status>;
  /** A chat completion of the data plane. */
  chat(model: string, options?: ChatOptions): Promise<Response>;
}

export interface ChatOptions {
  /** Default `/v1`. */
  readonly prefix?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

export function controlPlaneAt(url: string, key: string | null = null): ControlPlane {
  const credential: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  const rest: ControlPlane['rest'] = async (method, path, { body, headers, signal } = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...credential,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: jsonFrom(text) };
  };
  const statuses = async () => JSON.parse((await rest('GET', '/llm/model_statuses')).text) as Status[];
  const status = async (modelId: string) => (await statuses()).find(({ model_id }) => model_id === modelId);
  return {
    url,
    rest,
    status,
    async configure(modelId, modelKwargs = {}) {
      const answer = await rest('POST', '/llm/configure_model/', {
        body: {
          model_id: modelId,
          model_name: `org/${modelId}`,
          model_type: 'vllm',
          model_kwargs: modelKwargs,
        },
      });
      if (answer.status !== 200) throw new Error(answer.text);
      return String(answer.json.config_id);
    },
    load: (configId) => rest('POST', `/llm/load_model/${configId}`),
    client: (wire) => createClient(ModelService, transportTo(url, wire)),
    async untilStatus(modelId, passes) {
      for (;;) {
        const now = await status(modelId);
        if (now !== undefined && passes(now)) return now;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    chat: (model, { prefix = '/v1', fields = {}, signal } = {}) =>
      fetch(`${url}${prefix}/chat/completions`, {
        method: 'POST',
        headers: { ...credential, 'content-type': 'application/json' },
        body: JSON.stringify({
          model,
          messages: [{ role: 'user', content: 'What is the capital of France?' }],
          ...fields,
        }),
        ...(signal !== undefined && { signal }),
      }),
  };
}

function jsonFrom(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** The envelope's error. */
export function errorIn({ json }: RestAnswer): {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
} {
  return json.error as never;
}

export interface ModelsGateway extends TestGateway, ControlPlane {
  readonly url: string;
  /** Process groups that were started so far. */
  readonly started: () => readonly number[];
  /** Resolves when one has been. */
  readonly untilStarted: () => Promise<void>;
  /** How often a process found that somebody had been quicker to take its port, and another was started. */
  readonly collisions: () => number;
  /** What the processes of models have said so far. */
  readonly said: () => readonly string[];
}

export interface ModelsGatewayOptions {
  /** What stands in vLLM's place; default: the simulator. */
  readonly command?: readonly string[];
  /** Lines below `general_settings:`. */
  readonly settings?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly masterKey?: string;
}

/** A gateway in this process, whose models are processes. */
export async function startModels(options: ModelsGatewayOptions = {}): Promise<ModelsGateway> {
  const { command = SIM_COMMAND, masterKey = null } = options;
  const gateway = await startTestGateway(
    `general_settings:
  vllm_command: ${JSON.stringify(command)}
  ${masterKey === null ? '' : `master_key: ${masterKey}`}
  ${options.settings ?? ''}
`,
    { level: 'debug', env: { PATH: process.env.PATH ?? '', ...options.env } },
  );
  return {
    ...gateway,
    ...controlPlaneAt(gateway.url, masterKey),
    started: () =>
      gateway.lines.flatMap(({ msg, pid }) =>
        /vLLM is being started/.test(String(msg)) ? [Number(pid)] : [],
      ),
    untilStarted: async () => {
      await gateway.line(({ msg }) => /vLLM is being started/.test(String(msg)));
    },
    collisions: () => gateway.lines.filter(({ msg }) => /port \d+ is taken/.test(String(msg))).length,
    said: () => gateway.lines.flatMap(({ line }) => (typeof line === 'string' ? [line] : [])),
  };
}

/** A vLLM that waits, before it begins, for a word of the test. */
export interface GatedVllm {
  readonly command: readonly string[];
  /** How many were started. */
  starts(): number;
  /** Lets so many of them go on, those to come included. Default: as many as one load may try, see `MAX_PORTS`. */
  open(count?: number): void;
}

export function gatedVllm(flags = ''): GatedVllm {
  const folder = temporaryFolder();
  const gate = join(folder, 'gate');
  const starts = join(folder, 'starts');
  execFileSync('sh', ['-c', 'mkfifo "$0"', gate]);
  // For reading, too: so neither end waits for the other, and what is written stays until it is read.
  const end = openSync(gate, 'r+');
  onTestFinished(() => closeSync(end));
  closeSync(openSync(starts, 'w'));
  const sim = SIM_COMMAND.map((word) => `'${word}'`).join(' ');
  const script = `echo started >> '${starts}'\nread -r go < '${gate}'\nexec ${sim} "$@" ${flags}`;
  return {
    command: [scriptedVllm(script)],
    starts: () => readFileSync(starts, 'utf8').split('\n').length - 1,
    open: (count = 3) => void writeSync(end, 'go\n'.repeat(count)),
  };
}

/** The `data:` of a whole stream of server-sent events. */
export function eventsIn(text: string): readonly Status[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => {
      if (!event.startsWith('data: ')) throw new Error(`not an event: ${event}`);
      return JSON.parse(event.slice('data: '.length)) as Status;
    });
}

/** The `result` of each line of NDJSON. */
export function linesIn(text: string): readonly Status[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { readonly result: Status }).result);
}

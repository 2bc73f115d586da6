import { readFileSync } from 'node:fs';
import { processEnvironment } from '../src/base/config/environment.ts';
import { parseConfig } from '../src/base/config/parse.ts';
import { createLog } from '../src/base/log.ts';
import { VERSION } from '../src/cli/version.ts';
import { startGateway } from '../src/server/gateway.ts';
import { PROVIDERS } from '../src/upstream/providers.ts';
import { startVllmSim, type VllmSim } from '../test/vllm-sim/index.ts';

const CONFIG = new URL('../examples/quickstart.yaml', import.meta.url);
const SIMULATOR_PORT = 8090;

/**
 * Serves the documents' first configuration with a simulated vLLM server behind it, and prints the curl that
 * goes with it. Returns the exit code after SIGINT or SIGTERM.
 */
export async function quickstart(port: number): Promise<number> {
  const log = createLog({ level: 'info', pretty: true, fd: 1 });
  let simulator: VllmSim | null = null;
  try {
    simulator = await startSimulator();
    await warmUp(simulator);
    const text = readFileSync(CONFIG, 'utf8').replaceAll(String(SIMULATOR_PORT), String(simulator.port));
    const config = parseConfig(text, {
      file: 'examples/quickstart.yaml',
      env: processEnvironment(),
      providers: PROVIDERS,
      baseDir: 'examples',
    });
    const gateway = await startGateway({
      config,
      host: '127.0.0.1',
      port,
      environment: processEnvironment(),
      logger: log.logger,
      version: VERSION,
    });
    process.stdout.write(welcome(text, gateway.url, simulator.url));
    await stopSignal();
    await gateway.drain();
    return 0;
  } catch (error) {
    process.stderr.write(`sluice: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    // After a failure too (port 4000 is taken): its open port would keep the process from ending.
    await simulator?.close();
  }
}

/** The documents' port if it is free, so that their own commands work against the simulator too. */
async function startSimulator(): Promise<VllmSim> {
  try {
    return await startVllmSim({ port: SIMULATOR_PORT });
  } catch {
    return await startVllmSim({ port: 0 });
  }
}

/** Its language data load with the first text, which would be the first thing seen of the gateway. */
async function warmUp(simulator: VllmSim): Promise<void> {
  const answer = await fetch(`${simulator.url}/classify`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: 'Hello, world!' }),
  });
  await answer.arrayBuffer();
}

function welcome(config: string, url: string, simulatorUrl: string): string {
  return `
Sluice ${VERSION} RUNNING on ${url}
A simulated vLLM server answers at ${simulatorUrl}; the configuration is examples/quickstart.yaml:

${config
  .replace(/^#.*\n/gm, '')
  .trimEnd()
  .replace(/^/gm, '    ')}

Try it:

curl -X POST ${url}/vllm/classify \\
-H "Content-Type: application/json" \\
-H "Authorization: Bearer anything" \\
-d '{"model": "roberta-base-language-detection", "input": "Hello, world!"}'

Its API: ${url}/docs
Models and routes while it runs: npx sluice models --help, npx sluice routes --help
Your own file: npm start -- --config config.yaml        Stop: Ctrl-C

`;
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

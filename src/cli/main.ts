import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { nearest } from '../base/config/nearest.ts';
import { addKeysCommand } from './keys.ts';
import { addModelsCommand } from './models.ts';
import { addRoutesCommand } from './routes.ts';
import type { ServeOptions } from './serve.ts';
import { addStoreCommand } from './store.ts';
import { VERSION } from './version.ts';

const EXAMPLES = `
Examples:
  sluice --config config.yaml                   serve the models and routes of a file
  HOSTED_VLLM_API_BASE=http://gpu:8000 sluice   serve one vLLM server at /vllm/* and /v1/*
  sluice check-config config.yaml               list every fault of a file and exit
  sluice --config config.yaml --host 127.0.0.1  this machine alone, although there is a master key
  sluice models load my-model                   load a configured model of a running gateway
  sluice routes create /bria https://engine.prod.bria-api.com
  KEY=$(sluice keys generate --alias alice --rpm-limit 60 --max-budget 10)
  sluice store export --output backup.jsonl     all models, routes and keys; import reads it

Environment:
  SLUICE_MASTER_KEY     the key that may do everything (LITELLM_MASTER_KEY works too)
  HOSTED_VLLM_API_BASE  a vLLM server for requests that name no known model
  OPENAI_API_KEY, …     a provider's key makes its path work: /openai/*, /anthropic/*, …
  SLUICE_DATA_DIR       where models, routes and keys that were added are kept (default ./.sluice)
  SLUICE_URL            the gateway that models, routes and keys talk to (default http://localhost:4000)
  SLUICE_KEY            the key that they show; SLUICE_MASTER_KEY does as well

Exit codes: 0 done, or stopped as asked, 1 the configuration or the port can't be used, or the gateway refused,
2 the command line is wrong, 3 streams had to be broken at the drain deadline.`;

/**
 * Runs a command line.
 * @param args what stands behind the program's name
 * @returns the exit code, once the command is over
 */
export async function run(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = new Command('sluice')
    .description('A byte-exact pass-through gateway and typed control plane for LLM servers.')
    .version(VERSION)
    .exitOverride()
    .addHelpText('after', EXAMPLES)
    .configureHelp({ showGlobalOptions: true })
    .helpCommand('help [command]', 'display help for command')
    .showSuggestionAfterError();
  addServeOptions(program);
  const finish = (result: number): void => {
    code = result;
  };
  // The gateway takes as long to import as everything else together; who only talks to one needn't wait for it.
  const serveNow = async (): Promise<void> => {
    const { serve } = await import('./serve.ts');
    code = await serve(serveOptions(program));
  };
  program.action(async () => {
    const [word] = program.args;
    if (word !== undefined) program.error(unknownCommand(program, word));
    await serveNow();
  });
  // Without options of its own: the program's are read wherever they stand, and a second set would stay empty.
  program.command('proxy').description('serve, as without a command').action(serveNow);
  program
    .command('check-config')
    .description('read a configuration, list every fault with its line, and exit')
    .argument('<file>', 'the YAML file')
    .action(async (file: string) => {
      const { checkConfig } = await import('./check-config.ts');
      code = checkConfig(file);
    });
  addModelsCommand(program, finish);
  addRoutesCommand(program, finish);
  addKeysCommand(program, finish);
  addStoreCommand(program, finish);
  // Without a command it serves, so a word that is none arrives there. Set last: commands would inherit it.
  program.allowExcessArguments();
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  return code;
}

function unknownCommand(program: Command, word: string): string {
  if (/\.ya?ml$/.test(word)) return `error: unknown command '${word}'\n(Did you mean --config ${word}?)`;
  const near = nearest(word, [...program.commands.map((command) => command.name()), 'help']);
  return `error: unknown command '${word}'\n${near === null ? '(see sluice --help)' : `(Did you mean ${near}?)`}`;
}

function addServeOptions(command: Command): void {
  command
    .addOption(new Option('-c, --config <file>', 'the YAML file; without one the environment alone is read'))
    .addOption(new Option('-p, --port <number>', 'port to listen on').default(4000).argParser(parsePort))
    .addOption(
      new Option(
        '--host <address>',
        'address to listen on (default: 127.0.0.1, or 0.0.0.0 with a master key)',
      ),
    )
    .addOption(new Option('--detailed_debug', 'log what happens to each request in detail'))
    .addOption(new Option('--detailed-debug').hideHelp())
    .addOption(new Option('--workers <number>', 'processes that serve').default(1).argParser(parseWorkers))
    // The names that LiteLLM's command line gives them.
    .addOption(new Option('--num_workers <number>').argParser(parseWorkers).hideHelp())
    .addOption(new Option('--debug').hideHelp())
    .addOption(new Option('--insecure-open', 'allow an address beyond loopback without a master key'));
}

function serveOptions(command: Command): ServeOptions {
  const given = command.opts<Record<string, unknown>>();
  return {
    config: (given.config as string | undefined) ?? null,
    port: given.port as number,
    host: (given.host as string | undefined) ?? null,
    detailedDebug: [given.detailed_debug, given.detailedDebug, given.debug].includes(true),
    insecureOpen: given.insecureOpen === true,
    workers: (given.num_workers ?? given.workers) as number,
  };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError('a port is a number from 0 to 65535.');
  return port;
}

function parseWorkers(text: string): number {
  const workers = Number(text);
  if (!/^[0-9]+$/.test(text) || workers < 1 || workers > 256) {
    throw new InvalidArgumentError('the number of workers is from 1 to 256.');
  }
  return workers;
}

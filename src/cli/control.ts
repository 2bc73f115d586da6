import { Code, ConnectError } from '@connectrpc/connect';
import { type Command, Option } from 'commander';
import { firstVariable, processEnvironment } from '../base/config/environment.ts';
import { type ControlPlaneClient, createControlPlaneClient } from '../sdk/control-plane-client.ts';

/** What every command that talks to a running gateway works with. */
export interface Control {
  readonly client: ControlPlaneClient;
  /** Print JSON instead of tables. */
  readonly json: boolean;
  readonly out: (text: string) => void;
  /** The stream of progress and faults. */
  readonly err: NodeJS.WriteStream;
}

/** Variables that hold a key for a gateway, most specific first. */
const KEY_VARIABLES = ['SLUICE_KEY', 'SLUICE_MASTER_KEY', 'LITELLM_MASTER_KEY'];
const DEFAULT_URL = 'http://localhost:4000';

/** Sets the command's result. */
export type Finish = (code: number) => void;

/** What shells report for a program that Ctrl-C has ended. */
const INTERRUPTED = 130;

/** Ctrl-C was pressed; the message says what that means for what was under way. */
export class Interrupted extends Error {}

/** Adds the options that all such commands have. */
export function controlOptions(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', `the gateway (default: SLUICE_URL, or ${DEFAULT_URL})`))
    .addOption(new Option('--key <key>', `its master key (default: ${KEY_VARIABLES.join(', ')})`))
    .addOption(new Option('--json', 'print JSON for programs'));
}

/** Runs a command against the gateway that its options name; a refusal is one line and exit code 1. */
export async function withControl(
  options: Readonly<Record<string, unknown>>,
  finish: Finish,
  run: (control: Control) => Promise<void>,
): Promise<void> {
  const environment = processEnvironment();
  const url = text(options.url) ?? firstVariable(environment, ['SLUICE_URL'])?.value ?? DEFAULT_URL;
  const apiKey = text(options.key) ?? firstVariable(environment, KEY_VARIABLES)?.value ?? null;
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    process.stderr.write(`sluice: --url must be http://… or https://…, not ${JSON.stringify(url)}\n`);
    finish(2);
    return;
  }
  try {
    await run({
      client: createControlPlaneClient({ baseUrl: url.replace(/\/+$/, ''), apiKey }),
      json: options.json === true,
      out: (line) => void process.stdout.write(line),
      err: process.stderr,
    });
  } catch (thrown) {
    if (thrown instanceof Interrupted) {
      process.stderr.write(`${thrown.message}\n`);
      finish(INTERRUPTED);
      return;
    }
    process.stderr.write(`sluice: ${explain(thrown, url)}\n`);
    finish(1);
  }
}

/** A refusal in the gateway's own words, and what to do where it can't say it itself. */
function explain(thrown: unknown, url: string): string {
  const error = ConnectError.from(thrown);
  const words = error.rawMessage;
  switch (error.code) {
    case Code.Unavailable:
      return isUnreachable(error)
        ? `no gateway answers at ${url}: ${words} (start one, or say --url)`
        : words;
    case Code.Unauthenticated:
      return `${words} (say --key, or set ${KEY_VARIABLES[0]})`;
    case Code.Unimplemented:
    case Code.Internal:
    case Code.Unknown:
      return `${words} (is ${url} a sluice gateway, of this version?)`;
    default:
      return words;
  }
}

function isUnreachable(error: ConnectError): boolean {
  const cause = error.cause as { readonly code?: unknown } | null | undefined;
  return typeof cause?.code === 'string' && /^E[A-Z]+$/.test(cause.code);
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** The command line itself asks for what can't be, which the gateway couldn't know. */
export function misuse(message: string): ConnectError {
  return new ConnectError(message, Code.InvalidArgument);
}

/** Collects an option that may be said several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

import type { JsonObject } from '@bufbuild/protobuf';
import { type Command, InvalidArgumentError } from 'commander';
import { addSetting, parseAmount, parseObject } from './settings.ts';

type Options = Readonly<Record<string, unknown>>;

/** An option that says one field of a key. */
interface KeyOption {
  /** `--rpm-limit <number>` */
  readonly flags: string;
  readonly description: string;
  /** As commander names it; the value is false after `--no-…`. */
  readonly name: string;
  /** As the request has it. */
  readonly field: string;
  /** As `update_mask` has it. */
  readonly path: string;
  readonly parse?: (word: string, before: never) => unknown;
}

const OPTIONS: readonly KeyOption[] = [
  {
    flags: '--alias <name>',
    description: 'a name of yours, that no other key has',
    name: 'alias',
    field: 'keyAlias',
    path: 'key_alias',
  },
  {
    flags: '--duration <duration>',
    description: 'how long it lives from now on: 30s, 5m, 2h, 7d, 2w, 1mo (default: for ever)',
    name: 'duration',
    field: 'duration',
    path: 'duration',
  },
  {
    flags: '--model <name>',
    description: 'that it may ask for, or prefix/*; may be said again (default: all)',
    name: 'model',
    field: 'models',
    path: 'models',
    parse: several,
  },
  {
    flags: '--route <path>',
    description: 'that it may call, with all below it; may be said again (default: all)',
    name: 'route',
    field: 'allowedRoutes',
    path: 'allowed_routes',
    parse: several,
  },
  {
    flags: '--rpm-limit <number>',
    description: 'requests a minute',
    name: 'rpmLimit',
    field: 'rpmLimit',
    path: 'rpm_limit',
    parse: parseCount,
  },
  {
    flags: '--tpm-limit <number>',
    description: 'tokens a minute',
    name: 'tpmLimit',
    field: 'tpmLimit',
    path: 'tpm_limit',
    parse: parseCount,
  },
  {
    flags: '--max-parallel-requests <number>',
    description: 'requests under way at a time',
    name: 'maxParallelRequests',
    field: 'maxParallelRequests',
    path: 'max_parallel_requests',
    parse: parseCount,
  },
  {
    flags: '--max-budget <usd>',
    description: 'what it may spend',
    name: 'maxBudget',
    field: 'maxBudget',
    path: 'max_budget',
    parse: parseAmount,
  },
  {
    flags: '--budget-duration <duration>',
    description: 'after which spending begins anew (default: never)',
    name: 'budgetDuration',
    field: 'budgetDuration',
    path: 'budget_duration',
  },
  {
    flags: '--user-id <id>',
    description: 'whose key it is',
    name: 'userId',
    field: 'userId',
    path: 'user_id',
  },
  {
    flags: '--team-id <id>',
    description: 'the team whose key it is',
    name: 'teamId',
    field: 'teamId',
    path: 'team_id',
  },
  {
    flags: '--tag <tag>',
    description: 'a label; may be said again',
    name: 'tag',
    field: 'tags',
    path: 'tags',
    parse: several,
  },
];

/** What a key may be like, for `generate` and `update`. */
export function keyOptions(command: Command): Command {
  for (const { flags, description, parse } of OPTIONS) {
    if (parse === undefined) command.option(flags, description);
    else command.option(flags, description, parse as (word: string, before: unknown) => unknown);
  }
  return command
    .option('--set <name=value>', 'one of metadata; may be said again', addSetting)
    .option('--metadata <json>', 'metadata as a JSON object', parseObject);
}

/** `--no-rpm-limit` and its like, for `update`. */
export function removingOptions(command: Command): Command {
  for (const { flags } of OPTIONS) {
    const [flag = ''] = flags.split(' ');
    command.option(flag.replace('--', '--no-'), 'take it away');
  }
  return command.option('--no-metadata', 'take it away');
}

/** What an update says: the fields that are given, and the names of those and of the ones to be emptied. */
export interface KeyChange {
  readonly fields: Options;
  readonly paths: readonly string[];
}

export function keyChangeFrom(options: Options): KeyChange {
  const fields: Record<string, unknown> = {};
  const paths: string[] = [];
  for (const { name, field, path } of OPTIONS) {
    const value = options[name];
    // Commander's default for a flag that has a `--no-…` and wasn't said.
    if (value === undefined || value === true) continue;
    paths.push(path);
    if (value !== false) fields[field] = value;
  }
  const isRemoved = options.metadata === false;
  const metadata = { ...(options.metadata as object | undefined), ...(options.set as object | undefined) };
  if (isRemoved || Object.keys(metadata).length > 0 || typeof options.metadata === 'object') {
    paths.push('metadata');
    fields.metadata = metadata as JsonObject;
  }
  return { fields, paths };
}

/** A whole number of 0 or more. */
export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('it is a whole number, 0 or more.');
  return Number(text);
}

/** Collects; what was said to be taken away before counts no more. */
function several(word: string, before: unknown): readonly string[] {
  return [...(Array.isArray(before) ? before : []), word];
}

import { type Command, InvalidArgumentError } from 'commander';
import { keyJson, keyPageJson, newKeyJson, regeneratedKeyJson, type VirtualKey } from '../sdk/virtual-key.ts';
import { type Control, controlOptions, type Finish, misuse, withControl } from './control.ts';
import { keyChangeFrom, keyOptions, parseCount, removingOptions } from './key-options.ts';
import { describedKey, keyTable } from './key-rows.ts';
import { parseAmount } from './settings.ts';
import { word } from './table.ts';

type Options = Readonly<Record<string, unknown>>;

/** `sluice keys …`: virtual keys of a running gateway. */
export function addKeysCommand(program: Command, finish: Finish): void {
  const keys = program
    .command('keys')
    .description('give out virtual keys of a running gateway, limit them and take them back')
    .configureHelp({ showGlobalOptions: false });
  const add = (name: string, description: string): Command =>
    controlOptions(keys.command(name).description(description));
  const on = (options: Options, run: (control: Control) => Promise<void>): Promise<void> =>
    withControl(options, finish, run);

  keyOptions(add('generate', 'make a key and print it, this once, alone on stdout'))
    .option('--blocked', 'it opens nothing until it is unblocked')
    .option('--secret <sk-…>', 'the key itself (default: a random one)')
    .action((options: Options) => on(options, (control) => generate(control, options)));
  add('list', 'keys page by page, newest first')
    .option('--page <number>', 'from 1 on', parseFromOne)
    .option('--size <number>', 'keys a page, up to 100 (default: 10)', parseFromOne)
    .option('--user-id <id>', 'of this user alone')
    .option('--team-id <id>', 'of this team alone')
    .option('--alias <name>', 'with this alias alone')
    .action((options: Options) => on(options, (control) => list(control, options)));
  add('info', 'all that is known of a key, but for the key itself')
    .argument('[key, token or alias]', 'default: the key that this command shows')
    .action((name: string | undefined, options: Options) => on(options, (control) => info(control, name)));
  removingOptions(keyOptions(add('update', 'change what is given of a key, the rest stays')))
    .argument('<key, token or alias>')
    .option('--spend <usd>', 'what it has spent so far', parseAmount)
    .action((name: string, options: Options) => on(options, (control) => update(control, name, options)));
  add('block', 'shut a key out until it is unblocked')
    .argument('<key, token or alias>')
    .action((name: string, options: Options) =>
      on(options, async (control) => {
        const { info } = await control.client.keys.blockKey({ key: await keyFrom(control, name) });
        show(control, info);
      }),
    );
  add('unblock', 'let a blocked key in again')
    .argument('<key, token or alias>')
    .action((name: string, options: Options) =>
      on(options, async (control) => {
        const { info } = await control.client.keys.unblockKey({ key: await keyFrom(control, name) });
        show(control, info);
      }),
    );
  add('delete', 'take keys back for good: all that are named, or none')
    .argument('<keys, tokens or aliases...>')
    .action((names: readonly string[], options: Options) => on(options, (control) => remove(control, names)));
  add('regenerate', 'give a key a new secret and print it, this once, alone on stdout')
    .argument('<key, token or alias>')
    .option('--grace-period <duration>', 'how long the old one works on: 30s, 5m, 2h (default: not at all)')
    .action((name: string, options: Options) => on(options, (control) => regenerate(control, name, options)));
}

async function generate(control: Control, options: Options): Promise<void> {
  const { client, json, out } = control;
  const response = await client.keys.generateKey({
    ...keyChangeFrom(options).fields,
    ...(options.blocked === true && { blocked: true }),
    ...(typeof options.secret === 'string' && { key: options.secret }),
  });
  if (json) out(`${JSON.stringify(newKeyJson(response), null, 2)}\n`);
  else handOver(control, response.key, response.token);
}

async function list({ client, json, out, err }: Control, options: Options): Promise<void> {
  const page = await client.keys.listKeys({
    ...(typeof options.page === 'number' && { page: options.page }),
    ...(typeof options.size === 'number' && { size: options.size }),
    ...(typeof options.userId === 'string' && { userId: options.userId }),
    ...(typeof options.teamId === 'string' && { teamId: options.teamId }),
    ...(typeof options.alias === 'string' && { keyAlias: options.alias }),
  });
  if (json) {
    out(`${JSON.stringify(keyPageJson(page), null, 2)}\n`);
    return;
  }
  const { keys, totalCount, currentPage, totalPages } = page;
  if (totalCount === 0) out('There are no such keys. Make one: sluice keys generate\n');
  else if (keys.length > 0) out(keyTable(keys));
  if (totalPages <= 1 && keys.length > 0) return;
  if (totalCount > 0) err.write(`Page ${currentPage} of ${totalPages}, ${totalCount} keys together.\n`);
}

async function info(control: Control, name: string | undefined): Promise<void> {
  const key = name === undefined ? '' : await keyFrom(control, name);
  const { info } = await control.client.keys.getKeyInfo({ key });
  show(control, info);
}

async function update(control: Control, name: string, options: Options): Promise<void> {
  const { fields, paths } = keyChangeFrom(options);
  const spend = typeof options.spend === 'number' ? options.spend : null;
  const mask = [...paths, ...(spend === null ? [] : ['spend'])];
  if (mask.length === 0) throw misuse('there is nothing to change: say what (sluice keys update --help)');
  const { info } = await control.client.keys.updateKey({
    ...fields,
    key: await keyFrom(control, name),
    ...(spend !== null && { spend }),
    updateMask: { paths: mask },
  });
  show(control, info);
}

async function remove({ client, json, out }: Control, names: readonly string[]): Promise<void> {
  const { deletedKeys } = await client.keys.deleteKeys({
    keys: names.filter(isKeyOrToken),
    keyAliases: names.filter((name) => !isKeyOrToken(name)),
  });
  if (json) out(`${JSON.stringify({ deleted_keys: deletedKeys }, null, 2)}\n`);
  else out(`Deleted ${deletedKeys.length === 1 ? 'the key' : `${deletedKeys.length} keys`}.\n`);
}

async function regenerate(control: Control, name: string, options: Options): Promise<void> {
  const { client, json, out } = control;
  const response = await client.keys.regenerateKey({
    key: await keyFrom(control, name),
    ...(typeof options.gracePeriod === 'string' && { gracePeriod: options.gracePeriod }),
  });
  if (json) out(`${JSON.stringify(regeneratedKeyJson(response), null, 2)}\n`);
  else handOver(control, response.key, response.info?.token ?? '');
}

/** The secret alone on stdout, so that a shell can take it: `KEY=$(sluice keys generate)`. */
function handOver({ out, err }: Control, secret: string, token: string): void {
  out(`${secret}\n`);
  err.write(`The key is shown this once: keep it. Its token, which is no secret, is ${token}\n`);
}

function show({ json, out }: Control, key: VirtualKey | undefined): void {
  if (key === undefined) return;
  out(json ? `${JSON.stringify(keyJson(key), null, 2)}\n` : describedKey(key));
}

/** A key by itself, by its token, or by its alias. */
async function keyFrom({ client }: Control, name: string): Promise<string> {
  if (isKeyOrToken(name)) return name;
  const { keys } = await client.keys.listKeys({ keyAlias: name });
  const [only] = keys;
  if (only === undefined)
    throw misuse(`there is no key with the alias ${word(name)} (sluice keys list shows them)`);
  return only.token;
}

function isKeyOrToken(name: string): boolean {
  return name.startsWith('sk-') || /^[0-9a-f]{64}$/.test(name);
}

function parseFromOne(text: string): number {
  const count = parseCount(text);
  if (count === 0) throw new InvalidArgumentError('it is a whole number, 1 or more.');
  return count;
}

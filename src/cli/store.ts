import type { Command } from 'commander';
import type { Finish } from './control.ts';

const WHICH = `
The store is the one that the gateway would use: database_url of the file that --config names, else DATABASE_URL,
REDIS_URL or SLUICE_DATA_DIR, else .sluice/sluice.db. A gateway may go on running meanwhile.`;

const EXPORT_EXAMPLES = `${WHICH}

The file holds upstream keys in clear; of virtual keys it has hashes. With --output it is readable by its owner alone.

Examples:
  sluice store export --output backup.jsonl
  sluice store export | DATABASE_URL=redis://localhost sluice store import -`;

const IMPORT_EXAMPLES = `${WHICH}

The store must be empty, or have nothing but what an interrupted import of the same file has left: import it again.`;

/** `sluice store …`: all that a store has, in a file; from one kind of store to another. */
export function addStoreCommand(program: Command, finish: Finish): void {
  const store = program
    .command('store')
    .description('move models, routes and keys from one store to another')
    .configureHelp({ showGlobalOptions: false });
  const config = (): string | null => (program.opts().config as string | undefined) ?? null;
  store
    .command('export')
    .description('write all that the store has, as lines of JSON')
    .option('-o, --output <file>', 'a new file (default: stdout)')
    .addHelpText('after', EXPORT_EXAMPLES)
    .action(async ({ output }: { readonly output?: string }) => {
      const { exportTo } = await import('./transfer.ts');
      finish(await exportTo(output ?? null, config()));
    });
  store
    .command('import')
    .description('put into the store what an export has written')
    .argument('<file>', 'what export has written; - is stdin')
    .option('--merge', 'add to what is there; what has the same id stays as it is')
    .addHelpText('after', IMPORT_EXAMPLES)
    .action(async (file: string, { merge }: { readonly merge?: boolean }) => {
      const { importFrom } = await import('./transfer.ts');
      finish(await importFrom(file, { merge: merge === true, config: config() }));
    });
}

/**
 * A process of its own that works on a store: `node store-process.ts <location> <what> <name> <count>`. Each verb that
 * was answered is a line on stdout.
 */
import { openStore } from './open-store.ts';
import { configuration, key, route, SPENT_AT } from './samples.ts';

const [location = '', what = '', name = '', count = ''] = process.argv.slice(2);
const store = await openStore(location);
for (let index = 0; index < Number(count); index++) {
  const id = `${name}-${index}`;
  switch (what) {
    case 'configurations':
      await store.createConfiguration(configuration(id, { modelKwargs: { filler: 'x'.repeat(500), index } }));
      process.stdout.write(`${id}\n`);
      break;
    case 'paths': {
      // The same paths whatever the name: one process gets each.
      const got = await store.createRoute(route(id, { path: `/${index}` })).then(
        () => true,
        () => false,
      );
      process.stdout.write(`${got ? id : 'taken'}\n`);
      break;
    }
    case 'bumps':
      await store.updateRoute(name, (stored) => ({ ...stored, timeoutMs: (stored.timeoutMs ?? 0) + 1 }));
      process.stdout.write(`${id}\n`);
      break;
    case 'keys':
      // Every second one goes again.
      await store.createKey(key(id));
      process.stdout.write(`+${id}\n`);
      if (index % 2 === 0) break;
      await store.deleteKeys([id]);
      process.stdout.write(`-${id}\n`);
      break;
    case 'aliases': {
      // The same aliases whatever the name: one process gets each.
      const got = await store.createKey(key(id, { alias: `${index}` })).then(
        () => id,
        (error: unknown) => String(Object(error).reason),
      );
      process.stdout.write(`${got}\n`);
      break;
    }
    case 'key-bumps':
      await store.updateKey(name, (stored) => ({ ...stored, rpmLimit: (stored.rpmLimit ?? 0) + 1 }));
      process.stdout.write(`${id}\n`);
      break;
    case 'spends':
      await store.addSpend([{ id: name, usd: 0.1 }], SPENT_AT);
      process.stdout.write(`${id}\n`);
      break;
    case 'watches':
      // Left open: the process ends all the same.
      store.watch(() => {});
      process.stdout.write(`${id}\n`);
      break;
    default:
      throw new Error(`unknown: ${what}`);
  }
}
if (what !== 'watches') await store.close();

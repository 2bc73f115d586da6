import { run } from '../src/cli/main.ts';
import { quickstart } from './quickstart.ts';

// `npm start` serves something at once; with arguments (`npm start -- --config config.yaml`) it is plain `sluice`.
const args = process.argv.slice(2);
process.exitCode = args.length > 0 ? await run(args) : await quickstart();

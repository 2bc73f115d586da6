import { run } from '../src/cli/main.ts';
import { quickstart } from './quickstart.ts';

// `npm start` serves something at once, on another port with `npm start -- --port 4001`; with any other arguments
// (`npm start -- --config config.yaml`) it is plain `sluice`.
const args = process.argv.slice(2);
const port = /^(?:-p|--port)[ =]([0-9]+)$/.exec(args.join(' '))?.[1] ?? (args.length === 0 ? '4000' : null);
process.exitCode = port === null ? await run(args) : await quickstart(Number(port));

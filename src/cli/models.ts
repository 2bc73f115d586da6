import { Code, ConnectError } from '@connectrpc/connect';
import type { Command } from 'commander';
import { type Control, controlOptions, type Finish, Interrupted, misuse, withControl } from './control.ts';
import { LoadProgress } from './load-progress.ts';
import { described, failureInShort, type ModelRow, modelRows, plainFrom, stateOf } from './model-rows.ts';
import { addSetting, parseObject } from './settings.ts';
import { printable, table, word } from './table.ts';

type Options = Readonly<Record<string, unknown>>;

/** `sluice models …`: what ModelService does, from the command line. */
export function addModelsCommand(program: Command, finish: Finish): void {
  const models = program
    .command('models')
    .description('configure, load and ask models of a running gateway')
    .configureHelp({ showGlobalOptions: false });
  const add = (name: string, description: string): Command =>
    controlOptions(models.command(name).description(description));

  add('list', 'every configuration and where its model stands').action((options: Options) =>
    withControl(options, finish, list),
  );
  add('show', 'a configuration, its settings, and how its model stands')
    .argument('<config-id or model-id>')
    .action((id: string, options: Options) => withControl(options, finish, (control) => show(control, id)));
  add('configure', 'store a configuration and print its id')
    .argument('<model-id>', 'the name that requests ask for')
    .requiredOption('--type <type>', 'openai or vllm')
    .requiredOption('--name <name>', 'the name that the upstream knows')
    .option('--set <name=value>', 'one of model_kwargs; may be said again', addSetting)
    .option('--kwargs <json>', 'model_kwargs as a JSON object', parseObject)
    .action((modelId: string, options: Options) =>
      withControl(options, finish, (control) => configure(control, modelId, options)),
    );
  add('load', 'load a model and show how far it is')
    .argument('<config-id or model-id>')
    .action((id: string, options: Options) => withControl(options, finish, (control) => load(control, id)));
  add('unload', 'let its requests finish and stop it')
    .argument('<model-id>')
    .action((modelId: string, options: Options) =>
      withControl(options, finish, async ({ client, json, out }) => {
        const { message } = await client.models.unloadModel({ modelId });
        out(json ? `${JSON.stringify({ message })}\n` : `${message}\n`);
      }),
    );
  add('infer', 'send a prompt and print the text as it is made')
    .argument('<model-id>')
    .argument('<prompt>')
    .option('--set <name=value>', 'one of inference_kwargs (max_tokens=50); may be said again', addSetting)
    .action((modelId: string, prompt: string, options: Options) =>
      withControl(options, finish, (control) => infer(control, { modelId, prompt, options })),
    );
  add('delete', 'forget a configuration')
    .argument('<config-id>')
    .action((configId: string, options: Options) =>
      withControl(options, finish, async ({ client, json, out }) => {
        const { detail } = await client.models.deleteConfiguration({ configId });
        out(json ? `${JSON.stringify({ detail })}\n` : `${detail}\n`);
      }),
    );
}

async function list(control: Control): Promise<void> {
  const { json, out } = control;
  const rows = await modelRows(control);
  if (json) {
    out(`${JSON.stringify(rows.map(plainFrom), null, 2)}\n`);
    return;
  }
  if (rows.length === 0) {
    out('No models are configured. Add one: sluice models configure <model-id> --type vllm --name <name>\n');
    return;
  }
  out(
    table(
      ['MODEL', 'STATE', 'TYPE', 'NAME', 'CONFIGURATION'],
      rows.map((row) => {
        const { modelId, modelType, modelName, configId } = row.configuration;
        return [modelId, stateOf(row), modelType, modelName, configId];
      }),
    ),
  );
  const failed = rows.flatMap(({ status }) =>
    status === undefined || status.failure === '' ? [] : [status],
  );
  if (failed.length > 0) out(`\n${failed.map(failureInShort).join('')}`);
}

async function show(control: Control, id: string): Promise<void> {
  const { json, out } = control;
  const row = chosenOf(await modelRows(control), id);
  out(json ? `${JSON.stringify(plainFrom(row), null, 2)}\n` : described(row));
}

async function configure({ client, json, out }: Control, modelId: string, options: Options): Promise<void> {
  const { configId } = await client.models.configureModel({
    modelId,
    modelName: options.name as string,
    modelType: options.type as string,
    modelKwargs: { ...(options.kwargs as object | undefined), ...(options.set as object | undefined) },
  });
  out(json ? `${JSON.stringify({ config_id: configId })}\n` : `${configId}\n`);
}

async function load(control: Control, id: string): Promise<void> {
  const { client, json, out, err } = control;
  const { configurations } = await client.models.listConfigurations({});
  const rows = configurations.map((configuration) => ({ configuration }));
  const { configId, modelId } = chosenOf(rows, id).configuration;
  const progress = new LoadProgress(err);
  const over = new AbortController();
  const interrupted = onInterrupt();
  const loading = client.models
    .loadModel({ configId }, { signal: interrupted.signal })
    .finally(() => over.abort());
  const watching = json ? Promise.resolve() : watch(control, configId, { progress, over: over.signal });
  try {
    const { message } = await loading;
    await watching;
    progress.close();
    out(json ? `${JSON.stringify({ message, config_id: configId })}\n` : `${message}\n`);
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    throw new Interrupted(`The load goes on. To stop it: sluice models unload ${word(modelId)}`);
  } finally {
    progress.close();
    interrupted.release();
  }
}

/** Aborts at Ctrl-C, which ends the program by itself again after `release`. */
function onInterrupt(): { readonly signal: AbortSignal; release(): void } {
  const pressed = new AbortController();
  const press = () => pressed.abort();
  process.once('SIGINT', press);
  return { signal: pressed.signal, release: () => void process.off('SIGINT', press) };
}

/** Shows each status until the load is over; a status from before it began ends the stream early. */
async function watch(
  { client }: Control,
  configId: string,
  { progress, over }: { readonly progress: LoadProgress; readonly over: AbortSignal },
): Promise<void> {
  while (!over.aborted) {
    try {
      for await (const { status } of client.models.watchLoad({ configId }, { signal: over })) {
        if (status !== undefined && !over.aborted) progress.show(status);
      }
    } catch (error) {
      // The load's own answer says what is wrong; this is only the picture.
      if (!over.aborted && ConnectError.from(error).code !== Code.Unavailable) return;
    }
    if (!over.aborted) await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A configuration by its id, or the only one of a model. */
function chosenOf<Row extends Pick<ModelRow, 'configuration'>>(rows: readonly Row[], id: string): Row {
  const named = rows.find(({ configuration }) => configuration.configId === id);
  if (named !== undefined) return named;
  const [only, ...others] = rows.filter(({ configuration }) => configuration.modelId === id);
  if (only === undefined) {
    throw misuse(`there is neither a model nor a configuration ${word(id)} (sluice models list shows them)`);
  }
  if (others.length === 0) return only;
  const each = [only, ...others].map(({ configuration: { configId, modelName, modelKwargs } }) =>
    printable(`${configId}  ${modelName}  ${JSON.stringify(modelKwargs ?? {})}`),
  );
  throw misuse(`${word(id)} has several configurations; name one of them by its id:\n  ${each.join('\n  ')}`);
}

async function infer(
  { client, json, out }: Control,
  {
    modelId,
    prompt,
    options,
  }: { readonly modelId: string; readonly prompt: string; readonly options: Options },
): Promise<void> {
  const inferenceKwargs = { ...(options.set as object | undefined) };
  if (json) {
    const { response } = await client.models.infer({ modelId, prompt, inferenceKwargs });
    out(`${JSON.stringify({ response })}\n`);
    return;
  }
  for await (const { response } of client.models.streamInfer({ modelId, prompt, inferenceKwargs })) {
    out(response);
  }
  out('\n');
}

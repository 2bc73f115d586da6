import { Code, ConnectError } from '@connectrpc/connect';
import type { Command } from 'commander';
import { stateName } from '../sdk/model-states.ts';
import { type Control, controlOptions, type Finish, withControl } from './control.ts';
import { LoadProgress } from './load-progress.ts';
import { addSetting, parseObject } from './settings.ts';
import { printable, table } from './table.ts';

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

async function list({ client, json, out }: Control): Promise<void> {
  const [{ configurations }, { statuses }] = await Promise.all([
    client.models.listConfigurations({}),
    client.models.listModelStatuses({}),
  ]);
  const rows = configurations.map((configuration) => {
    const status = statuses.find(
      ({ modelId, configId }) => modelId === configuration.modelId && configId === configuration.configId,
    );
    return { configuration, state: status === undefined ? 'stopped' : stateName(status.state), status };
  });
  if (json) {
    const plain = rows.map(({ configuration, state, status }) => ({
      config_id: configuration.configId,
      model_id: configuration.modelId,
      model_name: configuration.modelName,
      model_type: configuration.modelType,
      model_kwargs: configuration.modelKwargs ?? {},
      state,
      failure: status?.failure ?? '',
    }));
    out(`${JSON.stringify(plain, null, 2)}\n`);
    return;
  }
  if (rows.length === 0) {
    out('No model is configured. sluice models configure --help\n');
    return;
  }
  out(
    table(
      ['MODEL', 'STATE', 'TYPE', 'NAME', 'CONFIGURATION'],
      rows.map(({ configuration, state }) => [
        configuration.modelId,
        state,
        configuration.modelType,
        configuration.modelName,
        configuration.configId,
      ]),
    ),
  );
  for (const { status } of rows) {
    if (status !== undefined && status.failure !== '') {
      out(`\n${printable(status.modelId)} failed: ${status.failure}\n`);
    }
  }
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
  const configId = await configIdFrom(control, id);
  const progress = new LoadProgress(err);
  const over = new AbortController();
  const loading = client.models.loadModel({ configId }).finally(() => over.abort());
  const watching = json ? Promise.resolve() : watch(control, configId, { progress, over: over.signal });
  try {
    const { message } = await loading;
    await watching;
    progress.close();
    out(json ? `${JSON.stringify({ message, config_id: configId })}\n` : `${message}\n`);
  } finally {
    progress.close();
  }
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

/** A configuration's id as it is; of a model its only configuration's. */
async function configIdFrom({ client }: Control, id: string): Promise<string> {
  const { configurations } = await client.models.listConfigurations({});
  if (configurations.some(({ configId }) => configId === id)) return id;
  const own = configurations.filter(({ modelId }) => modelId === id);
  const [only] = own;
  if (only === undefined) return id; // the gateway says that it doesn't know it
  if (own.length === 1) return only.configId;
  throw new ConnectError(
    `${id} has several configurations, name one of them: ${own.map(({ configId }) => configId).join(', ')}`,
    Code.InvalidArgument,
  );
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

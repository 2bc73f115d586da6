import { type Command, Option } from 'commander';
import type { PassthroughEndpoint } from '../sdk/passthrough-endpoint.ts';
import { type Control, collect, controlOptions, type Finish, misuse, withControl } from './control.ts';
import { addPair, parseAmount } from './settings.ts';
import { table, word } from './table.ts';

type Options = Readonly<Record<string, unknown>>;

/** `sluice routes …`: the operator's routes of a running gateway. */
export function addRoutesCommand(program: Command, finish: Finish): void {
  const routes = program
    .command('routes')
    .description('list and change the routes of a running gateway')
    .configureHelp({ showGlobalOptions: false });
  const add = (name: string, description: string): Command =>
    controlOptions(routes.command(name).description(description));

  add('list', 'those of the configuration file and those created here').action((options: Options) =>
    withControl(options, finish, async (control) => {
      const { endpoints } = await control.client.passthrough.listEndpoints({});
      show(control, endpoints);
    }),
  );
  routeOptions(add('create', 'add a route; callers need a key unless --no-auth is said'))
    .argument('<path>', 'where clients call it: /bria')
    .argument('<target>', 'where it goes: https://engine.prod.bria-api.com')
    .action((path: string, target: string, options: Options) =>
      withControl(options, finish, async (control) => {
        const fields = fieldsFrom(options);
        const { endpoints } = await control.client.passthrough.createEndpoint({ path, target, ...fields });
        show(control, endpoints);
      }),
    );
  routeOptions(add('update', 'change what is given of a route, the rest stays'))
    .argument('<id or path>')
    .option('--path <path>', 'where clients call it')
    .option('--target <url>', 'where it goes')
    .action((id: string, options: Options) =>
      withControl(options, finish, async (control) => {
        const changes = fieldsFrom(options);
        if (options.path === undefined && options.target === undefined && Object.keys(changes).length === 0)
          throw misuse('there is nothing to change: say what (sluice routes update --help)');
        const endpointId = await idFrom(control, id);
        const { endpoints } = await control.client.passthrough.updateEndpoint({
          endpointId,
          ...(typeof options.path === 'string' && { path: options.path }),
          ...(typeof options.target === 'string' && { target: options.target }),
          ...changes,
        });
        show(control, endpoints);
      }),
    );
  add('delete', 'remove a route; requests under way finish')
    .argument('<id or path>')
    .action((id: string, options: Options) =>
      withControl(options, finish, async (control) => {
        const endpointId = await idFrom(control, id);
        const { endpoints } = await control.client.passthrough.deleteEndpoint({ endpointId });
        if (!control.json) control.out('Deleted:\n');
        show(control, endpoints);
      }),
    );
}

function routeOptions(command: Command): Command {
  return command
    .option('--header <"Name: value">', 'added to each request; may be said again', addPair(':'))
    .option('--query <name=value>', 'filled in where the client left it out; may be said again', addPair('='))
    .option('--method <method>', 'that it takes; may be said again (default: all the usual ones)', collect)
    .addOption(new Option('--subpaths', 'take everything below the path as well'))
    .addOption(new Option('--no-subpaths', 'take the path alone'))
    .addOption(new Option('--auth', 'ask callers for a key'))
    .addOption(new Option('--no-auth', 'let everybody in'))
    .addOption(new Option('--forward-headers', "send the client's own headers on"))
    .addOption(new Option('--no-forward-headers', 'send the configured and the entity headers'))
    .option('--cost <usd>', 'what one request costs', parseAmount)
    .option('--timeout <seconds>', 'to the first byte of the answer', parseAmount);
}

/** The fields that were given; what wasn't stays what it is, or gets its default. */
function fieldsFrom(options: Options) {
  return {
    ...(options.header !== undefined && { headers: options.header as Record<string, string> }),
    ...(options.query !== undefined && { defaultQueryParams: options.query as Record<string, string> }),
    ...(options.method !== undefined && {
      methods: (options.method as string[]).map((word) => word.toUpperCase()),
    }),
    ...(typeof options.subpaths === 'boolean' && { includeSubpath: options.subpaths }),
    ...(typeof options.auth === 'boolean' && { auth: options.auth }),
    ...(typeof options.forwardHeaders === 'boolean' && { forwardHeaders: options.forwardHeaders }),
    ...(typeof options.cost === 'number' && { costPerRequest: options.cost }),
    ...(typeof options.timeout === 'number' && { timeout: options.timeout }),
  };
}

/** A route by its id, or by a path that it has alone. */
async function idFrom({ client }: Control, id: string): Promise<string> {
  // No id begins so; one that doesn't exist is the gateway's to refuse.
  if (!id.startsWith('/')) return id;
  const { endpoints } = await client.passthrough.listEndpoints({});
  const [only, ...others] = endpoints.filter(({ path }) => path === id.replace(/\/\*$/, ''));
  if (only === undefined) throw misuse(`there is no route ${word(id)} (sluice routes list shows them)`);
  if (others.length === 0) return only.id;
  const each = [only, ...others].map(({ id, methods }) => `${id}  ${methods.join(',')}`);
  throw misuse(`${word(id)} has several routes; name one of them by its id:\n  ${each.join('\n  ')}`);
}

function show({ json, out }: Control, endpoints: readonly PassthroughEndpoint[]): void {
  if (json) {
    out(`${JSON.stringify(endpoints.map(plainFrom), null, 2)}\n`);
    return;
  }
  if (endpoints.length === 0) {
    out('There are no routes. Add one: sluice routes create <path> <target>\n');
    return;
  }
  out(
    table(
      ['PATH', 'TARGET', 'METHODS', 'AUTH', 'FROM', 'ID'],
      endpoints.map((endpoint) => [
        endpoint.includeSubpath ? `${endpoint.path.replace(/\/$/, '')}/*` : endpoint.path,
        endpoint.target,
        endpoint.methods.length === ALL_METHODS ? 'all' : endpoint.methods.join(','),
        endpoint.auth ? 'key' : 'open',
        endpoint.isFromConfig ? 'file' : 'api',
        endpoint.id,
      ]),
    ),
  );
}

const ALL_METHODS = 7;

/** As REST has it. */
function plainFrom(endpoint: PassthroughEndpoint) {
  return {
    id: endpoint.id,
    path: endpoint.path,
    target: endpoint.target,
    headers: endpoint.headers,
    include_subpath: endpoint.includeSubpath,
    methods: endpoint.methods,
    forward_headers: endpoint.forwardHeaders,
    auth: endpoint.auth,
    default_query_params: endpoint.defaultQueryParams,
    cost_per_request: endpoint.costPerRequest ?? null,
    timeout: endpoint.timeout,
    is_from_config: endpoint.isFromConfig,
  };
}

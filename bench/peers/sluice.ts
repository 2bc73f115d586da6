import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientModel, masterKey, upstreamModel } from '../load/exchange.ts';
import { freePort, nodeCommand, type Peer } from './peer.ts';

/** The gateway as an operator runs it: nothing is switched off for the occasion. */
export const sluice: Peer = {
  name: 'sluice',
  setup: 'master key, model table with splice, request log to a file',
  expectedModel: upstreamModel,
  start: async ({ children, upstreamPort, proxyCore, directory, proxyCommand, nodeFlags }) => {
    const port = await freePort();
    const file = join(directory, `sluice-${port}.yaml`);
    writeFileSync(file, configuration(upstreamPort));
    const command = [...nodeCommand(proxyCommand, nodeFlags), '--config', file, '--port', String(port)];
    const environment = { NODE_ENV: 'production' };
    const child = children.start({
      name: 'sluice',
      command,
      core: proxyCore,
      withChannel: false,
      environment,
    });
    return { port, child };
  },
};

function configuration(upstreamPort: number): string {
  return `
model_list:
  - model_name: ${clientModel}
    litellm_params:
      model: hosted_vllm/${upstreamModel}
      api_base: http://127.0.0.1:${upstreamPort}
      api_key: upstream-key
general_settings:
  master_key: ${masterKey}
`;
}

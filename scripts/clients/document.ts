import { openStage, type Stage } from './stage.ts';

/** The script's own. */
const PORT = 8000;
const NO_CONFIGURATION = 'abcd1234-efgh-5678-ijkl-9012mnop3456';

/** The gateway that the script expects: its port, no key, and an API that has its model. */
export function openDocumentStage(): Promise<Stage> {
  return openStage({
    port: PORT,
    models: ['gpt-3'],
    env: { OPENAI_API_BASE: '$VLLM/v1', OPENAI_API_KEY: 'sk-upstream' },
  });
}

/** What its steps print, in order: it loads a configuration that the document invented, so nothing is loaded. */
const STEPS: readonly RegExp[] = [
  /^\{'config_id': '[\da-f-]{36}'\}$/,
  refusal(NO_CONFIGURATION),
  refusal('example_model'),
  refusal('example_model'),
  /^\[\{'config_id': '[\da-f-]{36}', 'model_id': 'example_model', 'model_name': 'gpt-3', 'model_type': 'openai', 'model_kwargs': \{'temperature': 0\.7\}\}\]$/,
  refusal(NO_CONFIGURATION),
  refusal(NO_CONFIGURATION),
  /^\[\]$/,
];

function refusal(name: string): RegExp {
  return new RegExp(`^\\{'error': \\{'message': .*${name}.*'type': '(?:not_found|invalid_request)_error'`);
}

/** What is wrong with the script's output; empty: nothing. */
export function documentFault(stdout: string): string {
  const lines = stdout.trimEnd().split('\n');
  const wrong = STEPS.findIndex((step, index) => !step.test(lines[index] ?? ''));
  if (wrong === -1) return lines.length === STEPS.length ? '' : `more lines than ${STEPS.length}:\n${stdout}`;
  return `step ${wrong + 1} should match\n${STEPS[wrong]}\nand is\n${lines[wrong] ?? ''}\n${stdout}`;
}

/** How many steps it has. */
export const DOCUMENT_STEPS = STEPS.length;

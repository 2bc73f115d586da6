import { MASTER_KEY, MODEL, type Stage } from './stage.ts';

const PROMPT = 'What is the capital of France?';

/**
 * What every client has to print, line by line. Answers of the model are asked of the vLLM server itself, and the
 * refusal of the gateway in plain HTTP/JSON.
 */
export async function expectedStory({ url, vllmUrl }: Stage): Promise<readonly string[]> {
  const completion = await post(`${vllmUrl}/v1/chat/completions`, {
    model: MODEL,
    messages: [{ role: 'user', content: PROMPT }],
    temperature: 0,
    max_tokens: 32,
  });
  const { choices } = JSON.parse(completion) as { choices: readonly { message: { content: string } }[] };
  const answer = choices[0]?.message.content;
  const tokens = await post(`${vllmUrl}/tokenize`, { model: MODEL, prompt: 'Hello, world!' });
  const version = await (await fetch(`${vllmUrl}/version`)).text();
  const refusal = await post(`${url}/sluice.v1.ModelService/LoadModel`, {
    config_id: 'no-such-configuration',
  });
  const { code, message } = JSON.parse(refusal) as { code: string; message: string };
  return [
    'configured: example',
    'watched: ready at 100%',
    'loaded: Model loaded successfully',
    'loaded models: example',
    `inferred: ${answer}`,
    `streamed: ${answer}`,
    'configurations: example',
    'created: /example-vllm',
    `fetched: 200 ${version}`,
    `forwarded: 200 ${tokens}`,
    `refused: ${code}: ${message}`,
    'unloaded: Model unloaded successfully',
    'deleted: Configuration deleted successfully',
  ].map(comparable);
}

/** The codes' names are each library's own: NotFound, NOT_FOUND, not_found. */
export function comparable(line: string): string {
  return line.replace(
    /^refused: (\w+):/,
    (_, code: string) => `refused: ${code.toLowerCase().replace('_', '')}:`,
  );
}

async function post(url: string, body: object): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${MASTER_KEY}` },
    body: JSON.stringify(body),
  });
  return response.text();
}

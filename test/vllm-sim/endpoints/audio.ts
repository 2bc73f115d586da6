import { badRequest, invalid } from '../errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { type Form, type FormFile, parseForm } from '../http/multipart.ts';
import type { Route } from '../http/route.ts';
import { EventStream } from '../http/sse.ts';
import { tokenize } from '../text/tokens.ts';
import { usage } from './plan.ts';

/** Speech to text; the body is a multipart form, and so is its `model`. */
export const audioRoutes: readonly Route[] = [
  {
    methods: ['POST'],
    path: '/v1/audio/transcriptions',
    handle: (x) => hear(x, TRANSCRIPTION),
    infers: true,
  },
  { methods: ['POST'], path: '/v1/audio/translations', handle: (x) => hear(x, TRANSLATION), infers: true },
];

interface Task {
  readonly idPrefix: string;
  readonly object: string;
  readonly said: string;
}

const TRANSCRIPTION: Task = { idPrefix: 'trsc', object: 'transcription', said: 'Transcription' };
const TRANSLATION: Task = { idPrefix: 'trsl', object: 'translation', said: 'Translation' };

async function hear(exchange: Exchange, task: Task): Promise<void> {
  const form = parseForm(exchange.request.header('content-type') ?? '', await exchange.request.whole());
  const file = form?.files.get('file');
  if (form === null || file === undefined) throw invalid('missing', ['file'], 'Field required');
  const model = exchange.engine.modelFor(form.fields.get('model'));
  const format = form.fields.get('response_format') ?? 'json';
  if (!['json', 'text', 'verbose_json'].includes(format))
    throw badRequest('Currently only support response_format: `text`, `json` or `verbose_json`');
  const id = `${task.idPrefix}-${await exchange.id()}`;
  // No model listens here: the words say which file arrived, so that a test sees that all of it did.
  const text = `${task.said} of ${file.filename}, ${file.bytes.length} bytes.`;
  await exchange.think();
  await exchange.engine.run(id, exchange.gone, async (run) => {
    if (form.fields.get('stream') === 'true') {
      await stream(exchange, run.pace(tokenize(text), exchange.intervalMs), { id, model, task, form });
      return;
    }
    const seconds = secondsOf(file);
    if (format === 'verbose_json') await exchange.send(200, verbose(text, seconds, form));
    else await exchange.send(200, { text, usage: { type: 'duration', seconds: Math.ceil(seconds) } });
  });
}

async function stream(
  exchange: Exchange,
  tokens: AsyncIterable<{ readonly text: string }>,
  what: { readonly id: string; readonly model: string; readonly task: Task; readonly form: Form },
): Promise<void> {
  const events = await EventStream.open(exchange);
  const { id, model, task, form } = what;
  const chunk = { id, object: `${task.object}.chunk`, created: exchange.engine.nowSeconds, model };
  const choice = (content: string, finish: string | null) => ({
    delta: { content },
    finish_reason: finish,
    stop_reason: null,
  });
  let sent = 0;
  for await (const token of tokens) {
    sent += 1;
    await events.event({ ...chunk, choices: [choice(token.text, null)] });
  }
  await events.event({ ...chunk, choices: [choice('', 'stop')] });
  if (form.fields.get('stream_include_usage') === 'true')
    await events.event({ ...chunk, choices: [], usage: usage(1, sent) });
  await events.done();
  await events.close();
}

function verbose(text: string, seconds: number, form: Form): object {
  const segment = {
    id: 0,
    avg_logprob: -0.1,
    compression_ratio: 1,
    end: seconds,
    no_speech_prob: null,
    seek: 0,
    start: 0,
    temperature: Number(form.fields.get('temperature') ?? 0),
    text,
    tokens: tokenize(text).flatMap((token) => token.ids),
  };
  const language = form.fields.get('language') ?? 'en';
  return { duration: String(seconds), language, text, segments: [segment], words: null };
}

/** The length of a WAV by its header; of anything else, as if it were 16-bit mono at 16 kHz. */
function secondsOf({ bytes }: FormFile): number {
  const isWav = bytes.length >= 44 && bytes.toString('latin1', 0, 4) === 'RIFF';
  const bytesPerSecond = isWav ? bytes.readUInt32LE(28) : 0;
  return (bytes.length - (isWav ? 44 : 0)) / (bytesPerSecond || 32_000);
}

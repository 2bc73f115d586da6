/**
 * What the model scanners cost: nanoseconds a body and a byte, each beside `Buffer.indexOf` for a byte that the
 * body doesn't hold (memchr: the floor for anything that looks at every byte) and `JSON.parse`.
 *
 *     node bench/micro/scanner.ts [name]
 */
import { JsonModelScanner } from '../../src/relay/json-model-scanner.ts';
import type { ModelScanner } from '../../src/relay/model-scanner.ts';
import { MultipartModelScanner } from '../../src/relay/multipart-model-scanner.ts';

const ROUNDS = 20;
const ROUND_MS = 30;
const CHUNK_BYTES = 64 * 1024;

interface Case {
  readonly name: string;
  readonly chunks: readonly Buffer[];
  readonly create: () => ModelScanner;
}

const BOUNDARY = '------------------------d74496d66958873e';

const createJson = () => new JsonModelScanner();
const createForm = () => new MultipartModelScanner(BOUNDARY);
const chat = Buffer.from(JSON.stringify(chatBody()));
const images = Buffer.from(JSON.stringify(imageBody(10e6)));
const tokens = Buffer.from(JSON.stringify(tokenBody(1e6)));

const CASES: readonly Case[] = [
  { name: 'chat 1 KB, model first', chunks: [chat], create: createJson },
  {
    name: 'chat 1 KB, model last, pretty',
    chunks: [Buffer.from(JSON.stringify(modelLast(), null, 2))],
    create: createJson,
  },
  { name: 'images 10 MB, whole', chunks: [images], create: createJson },
  { name: 'images 10 MB, 64 KB chunks', chunks: cut(images), create: createJson },
  { name: 'short strings and numbers 1 MB', chunks: [tokens], create: createJson },
  { name: 'form 1 KB', chunks: [audioForm(512)], create: createForm },
  { name: 'form 10 MB, 64 KB chunks', chunks: cut(audioForm(10e6)), create: createForm },
  {
    name: 'escaped quotes 1 MB',
    chunks: [Buffer.from(JSON.stringify(escapedBody(1e6)))],
    create: createJson,
  },
];

console.log(
  'case                                 bytes    ns/body   ns/byte   memchr   JSON.parse (ns/byte)',
);
for (const { name, chunks, create } of CASES) {
  if (process.argv[2] !== undefined && !name.includes(process.argv[2])) continue;
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const scanNs = fastestNs(() => {
    const scanner = create();
    for (const chunk of chunks) scanner.scan(chunk);
    if (scanner.found === null) throw new Error(`no model found in ${name}`);
  });
  const memchrNs = fastestNs(() => {
    for (const chunk of chunks) chunk.indexOf(0);
  });
  const whole = Buffer.concat(chunks);
  const isJson = create === createJson;
  const parseNs = isJson ? fastestNs(() => JSON.parse(whole.toString())) : Number.NaN;
  console.log(
    name.padEnd(32),
    String(bytes).padStart(9),
    scanNs.toFixed(0).padStart(10),
    ...[scanNs, memchrNs, parseNs].map((ns) => (ns / bytes).toFixed(3).padStart(9)),
  );
}

/** Mean time of one call in the fastest of several rounds: what slows the others down is the machine's other work. */
function fastestNs(call: () => void): number {
  let fastest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const begun = process.hrtime.bigint();
    const deadline = begun + BigInt(ROUND_MS * 1e6);
    let calls = 0;
    let now = begun;
    for (let batch = 1; now < deadline; batch = Math.min(batch * 2, 1024)) {
      for (let i = 0; i < batch; i++) call();
      calls += batch;
      now = process.hrtime.bigint();
    }
    fastest = Math.min(fastest, Number(now - begun) / calls);
  }
  return fastest;
}

function cut(body: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; at += CHUNK_BYTES) chunks.push(body.subarray(at, at + CHUNK_BYTES));
  return chunks;
}

function chatBody(): object {
  return {
    model: 'hosted_vllm/qwen2.5-7b-instruct',
    messages: [
      {
        role: 'system',
        content: 'You are a patient assistant. Answer in one short paragraph, and name your sources.',
      },
      {
        role: 'user',
        content: 'Why is the sky blue at noon and red in the evening?\nMy daughter asked me today.',
      },
      {
        role: 'assistant',
        content: 'Air scatters short waves far more than long ones (Rayleigh). '.repeat(4),
      },
      { role: 'user', content: 'She says: "but violet is shorter still". What do I answer? '.repeat(3) },
    ],
    temperature: 0.7,
    top_p: 0.95,
    max_tokens: 512,
    stop: ['\n\n', '###'],
    stream: true,
    stream_options: { include_usage: true },
    user: 'user-42',
    seed: 7,
  };
}

function modelLast(): object {
  const { model, ...rest } = chatBody() as { model: string };
  return { ...rest, model };
}

function imageBody(bytes: number): object {
  const url = `data:image/png;base64,${Buffer.alloc((bytes / 4 / 4) * 3, 'not quite random pixels').toString('base64')}`;
  const image = { type: 'image_url', image_url: { url } };
  return modelBehind({ messages: [{ role: 'user', content: [image, image, image, image] }] });
}

function tokenBody(bytes: number): object {
  const items = Array.from({ length: Math.ceil(bytes / 42) }, (_, id) => ({
    id,
    token: `t${id % 997}`,
    ok: id % 2 === 0,
  }));
  return modelBehind({ prompt: Array.from({ length: 20_000 }, (_, id) => id), items });
}

function escapedBody(bytes: number): object {
  return modelBehind({ arguments: JSON.stringify(Array.from({ length: bytes / 16 }, () => 'a "b" c')) });
}

function audioForm(bytes: number): Buffer {
  const field = (name: string, more: string) =>
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`);
  const samples = Buffer.from(Array.from({ length: bytes }, (_, at) => (at * 2654435761) >>> 24));
  return Buffer.concat([
    field('file', '; filename="speech.wav"\r\nContent-Type: audio/wav'),
    samples,
    Buffer.from('\r\n'),
    field('model', ''),
    Buffer.from('whisper-large-v3\r\n'),
    field('language', ''),
    Buffer.from(`en\r\n--${BOUNDARY}--\r\n`),
  ]);
}

function modelBehind(body: object): object {
  return { ...body, model: 'qwen' };
}

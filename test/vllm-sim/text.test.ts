import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LANGUAGES, startVllmSim, type VllmSim } from './index.ts';
import { post } from './testing/client.ts';

let sim: VllmSim;

beforeAll(async () => {
  sim = await startVllmSim();
});

afterAll(async () => {
  await sim.close();
});

const SENTENCES: Readonly<Record<string, readonly string[]>> = {
  ar: ['مرحبا بالعالم!', 'الطقس جميل اليوم.'],
  bg: ['Здравей, свят!', 'Времето днес е хубаво.'],
  de: ['Hallo Welt!', 'Das Wetter ist heute schön.'],
  el: ['Γειά σου Κόσμε!', 'Ο καιρός είναι καλός.'],
  en: ['Hello, world!', 'The weather is nice today.'],
  es: ['¡Hola, mundo!', 'El tiempo es bueno hoy.'],
  fr: ['Bonjour le monde', 'Il fait beau.'],
  hi: ['नमस्ते दुनिया!', 'आज मौसम अच्छा है।'],
  it: ['Ciao mondo!', 'Il tempo è bello oggi.'],
  ja: ['こんにちは世界！', '東京は日本の首都です'],
  nl: ['Hallo wereld!', 'Het weer is vandaag mooi.'],
  pl: ['Witaj świecie!', 'Pogoda jest dzisiaj ładna.'],
  pt: ['Olá, mundo!', 'O tempo está bom hoje.'],
  ru: ['Привет, мир!', 'Сегодня хорошая погода.'],
  sw: ['Habari dunia!', 'Hali ya hewa ni nzuri leo.'],
  th: ['สวัสดีชาวโลก!', 'วันนี้อากาศดี'],
  tr: ['Merhaba dünya!', 'Bugün hava güzel.'],
  ur: ['ہیلو دنیا!', 'آج موسم اچھا ہے۔'],
  vi: ['Chào thế giới!', 'Hôm nay thời tiết đẹp.'],
  zh: ['你好，世界！', '今天天气很好。'],
};

describe('classify', () => {
  test('answers the documented example in the documented shape', async () => {
    const model = 'papluca/xlm-roberta-base-language-detection';
    const { json } = await post(`${sim.url}/classify`, { model, input: 'Hello, world!' });
    expect(json()).toMatchObject({
      id: expect.stringMatching(/^classify-[0-9a-f]{32}$/),
      object: 'list',
      created: expect.any(Number),
      model,
      data: [{ index: 0, label: 'en', num_classes: 20 }],
      usage: { prompt_tokens: 5, total_tokens: 5, completion_tokens: 0 },
    });
  });

  test.each(Object.entries(SENTENCES))('knows %s', async (language, sentences) => {
    const { data } = (await post(`${sim.url}/classify`, { input: sentences })).json();
    expect(data.map((entry: { label: string }) => entry.label)).toEqual(sentences.map(() => language));
  });

  test('gives probabilities that sum to 1 and are highest for the label, even when a text says nothing', async () => {
    const input = ['Bonjour tout le monde', '123', ''];
    const { data } = (await post(`${sim.url}/classify`, { input })).json();
    for (const { label, probs } of data) {
      expect(probs.reduce((sum: number, probability: number) => sum + probability, 0)).toBeCloseTo(1, 9);
      expect(probs.indexOf(Math.max(...probs))).toBe(LANGUAGES.indexOf(label));
    }
  });
});

describe('score and rerank', () => {
  test('scores the documented pair high, and one about something else low', async () => {
    const pair = { text_1: 'What is the capital of France?', text_2: 'The capital of France is Paris.' };
    const [high] = (await post(`${sim.url}/score`, { ...pair, model: 'vllm-1.72' })).json().data;
    const [low] = (await post(`${sim.url}/v1/score`, { ...pair, text_2: 'Bananas are yellow.' })).json().data;
    expect(high).toMatchObject({ index: 0, object: 'score' });
    expect(high.score).toBeGreaterThan(0.9);
    expect(low.score).toBeLessThan(0.1);
  });

  test('pairs one text with many, many with many, and refuses other counts', async () => {
    const score = async (text_1: unknown, text_2: unknown) => post(`${sim.url}/score`, { text_1, text_2 });
    expect((await score('a', ['b', 'c'])).json().data).toHaveLength(2);
    expect((await score(['a', 'b'], ['b', 'c'])).json().data).toHaveLength(2);
    expect((await score(['a', 'b'], ['b', 'c', 'd'])).status).toBe(400);
  });

  test('ranks the documented documents as the documentation does', async () => {
    const body = {
      model: 'rerank-english-v3.0',
      query: 'What is the capital of the United States?',
      top_n: 3,
      documents: [
        'Carson City is the capital city of the American state of Nevada.',
        'The Commonwealth of the Northern Mariana Islands is a group of islands in the Pacific Ocean. Its capital is Saipan.',
        'Washington, D.C. (also known as simply Washington or D.C., and officially as the District of Columbia) is the capital of the United States. It is a federal district.',
        'Capitalization or capitalisation in English grammar is the use of a capital letter at the start of a word. English usage varies from capitalization in other languages.',
        'Capital punishment (the death penalty) has existed in the United States since beforethe United States was a country. As of 2017, capital punishment is legal in 30 of the 50 states.',
      ],
    };
    for (const path of ['/rerank', '/v1/rerank', '/v2/rerank']) {
      const answer = (await post(sim.url + path, body)).json();
      expect(answer).toMatchObject({ id: expect.stringMatching(/^rerank-/), model: 'rerank-english-v3.0' });
      expect(answer.results.map((result: { index: number }) => result.index)).toEqual([2, 4, 0]);
      expect(answer.results[0].document.text).toMatch(/^Washington/);
      expect(answer.results[0].relevance_score).toBeGreaterThan(0.9);
    }
  });
});

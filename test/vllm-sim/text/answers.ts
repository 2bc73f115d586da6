/**
 * What the simulated model says. The questions that the documentation asks get a real answer; anything else
 * gets its own words back, so that a test can tell whose answer it holds.
 */
const ANSWERS: readonly (readonly [asked: RegExp, answer: string])[] = [
  [/capital of france/i, 'The capital of France is Paris.'],
  [/capital of the united states/i, 'The capital of the United States is Washington, D.C.'],
  [
    /(going|travel\w*|trip) to paris/i,
    'Start with the Eiffel Tower and a walk along the Seine to the Louvre. See Notre-Dame and the Sainte-Chapelle ' +
      'on the Île de la Cité, the impressionists in the Musée d’Orsay, and the view from Montmartre at sunset.',
  ],
  [/^\W*(hello|hi|hey)\b.{0,20}$/is, 'Hello! How can I help you today?'],
];

export function answerTo(prompt: string): string {
  const known = ANSWERS.find(([asked]) => asked.test(prompt));
  if (known !== undefined) return known[1];
  const words = prompt.trim().replace(/\s+/g, ' ');
  return `You said: ${words.length > 200 ? `${words.slice(0, 200)}…` : words}`;
}

import { describe, expect, test } from 'vitest';
import type { RequestBody } from '../../src/relay/downstream.ts';
import { JsonModelScanner } from '../../src/relay/json-model-scanner.ts';
import { type OutgoingBody, outgoingBody } from '../../src/relay/outgoing-body.ts';

function outgoing(
  announced: RequestBody,
  pieces: readonly string[],
  upstreamModel: string | null,
): OutgoingBody {
  const scanner = new JsonModelScanner();
  const held = pieces.map((piece) => Buffer.from(piece));
  for (const piece of held) scanner.scan(piece);
  return outgoingBody({ announced, held, scanner, upstreamModel });
}

/** Every byte that is there, however it is carried. */
function bytesOf({ body, first }: OutgoingBody): string {
  if (body.kind === 'text') return Buffer.from(body.latin1, 'latin1').toString();
  if (body.kind === 'whole') return body.bytes.toString();
  return first?.toString() ?? '';
}

const length = (text: string): RequestBody => ({ kind: 'length', length: Buffer.byteLength(text) });
const LONG = 'é'.repeat(20_000);

describe('outgoingBody', () => {
  test.each([
    ['longer', '{"model":"m","x":"é"}', 'org/much-longer', '{"model":"org/much-longer","x":"é"}'],
    ['shorter', '{ "model" : "long-name" }', 'm', '{ "model" : "m" }'],
    ['to be escaped', '{"model":"m"}', 'a"b\\c', '{"model":"a\\"b\\\\c"}'],
    ['beyond ASCII', '{"model":"m"}', '模型', '{"model":"模型"}'],
    ['the same', '{"model":"m"}', null, '{"model":"m"}'],
    ['of a long body', `{"model":"m","x":"${LONG}"}`, 'org/m', `{"model":"org/m","x":"${LONG}"}`],
    ['of a body without one', '{"x":1}', 'org/m', '{"x":1}'],
    ['of an empty body', '', 'org/m', ''],
  ])('a name that is %s changes the length by the difference', (_, body, model, expected) => {
    const whole = outgoing(length(body), [body], model);
    expect(bytesOf(whole)).toBe(expected);
    expect(whole.framing).toEqual({ kind: 'length', length: Buffer.byteLength(expected) });
    expect(whole.body.kind).toBe(body.length > 16 * 1024 ? 'whole' : 'text');
    const middle = Math.floor(body.length / 2);
    const inTwo = outgoing(length(body), [body.slice(0, middle), body.slice(middle)], model);
    expect([bytesOf(inTwo), inTwo.framing]).toEqual([expected, whole.framing]);
  });

  test('the beginning of a body of known length is a stream of the corrected length', () => {
    const part = outgoing({ kind: 'length', length: 1_000 }, ['{"model":"m","x":'], 'org/m');
    expect(part).toEqual({
      body: { kind: 'stream', length: 1_004 },
      framing: { kind: 'length', length: 1_004 },
      first: Buffer.from('{"model":"org/m","x":'),
    });
  });

  test('a body of unknown length is a chunked stream, though all of it is there', () => {
    expect(outgoing({ kind: 'unknown_length' }, ['{"model":', '"m"}'], 'org/m')).toEqual({
      body: { kind: 'stream', length: null },
      framing: { kind: 'chunked' },
      first: Buffer.from('{"model":"org/m"}'),
    });
  });

  test('no body is none', () => {
    expect(outgoing({ kind: 'none' }, [], 'org/m')).toEqual({
      ...{ body: { kind: 'none' }, framing: { kind: 'none' }, first: null },
    });
  });
});

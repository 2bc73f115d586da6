import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MultipartModelScanner } from '../../src/relay/multipart-model-scanner.ts';
import { cutAt, type Outcome, outcomeOf, singleBytes } from './model-scanner-outcome.ts';

interface Part {
  readonly name: string;
  readonly isFile: boolean;
  readonly content: Buffer;
}

interface Form {
  readonly boundary: string;
  readonly parts: readonly Part[];
}

const boundary = fc.oneof(
  fc.constantFrom('-', '--', 'B', 'a-', '----WebKitFormBoundary7MA4YWxkTrZu0gW', 'x'.repeat(70)),
  fc.string({ unit: fc.constantFrom(..."aZ09'()+_,-./:=?"), minLength: 1, maxLength: 70 }),
);

/** Bytes that look as much like a delimiter as content may: none has the boundary behind a line break. */
function content(boundary: string): fc.Arbitrary<Buffer> {
  const piece = fc.oneof(
    fc.constantFrom(
      '\r\n',
      '\r',
      '\n',
      '-',
      '--',
      '--\r\n',
      `x--${boundary}`,
      boundary,
      `--${boundary.slice(0, -1)}`,
    ),
    fc.string(),
    fc.constantFrom('Content-Disposition: form-data; name="model"\r\n\r\n', 'x'.repeat(90)),
  );
  const isDelimiter = new RegExp(`(^|[\\r\\n])--${boundary.replace(/[()+.?]/g, '\\$&')}`);
  return fc
    .array(piece, { maxLength: 12 })
    .map((pieces) => pieces.join(''))
    .filter((text) => !isDelimiter.test(`${text}\r\n`))
    .map((text) => Buffer.from(text));
}

const form: fc.Arbitrary<Form> = boundary.chain((chosen) =>
  fc.record({
    boundary: fc.constant(chosen),
    parts: fc.array(
      fc.record({
        name: fc.constantFrom('file', 'model', 'models', 'language', 'n m', 'mödel'),
        isFile: fc.boolean(),
        content: content(chosen),
      }),
      { maxLength: 5 },
    ),
  }),
);
const offsets = fc.array(fc.nat(1500), { maxLength: 8 });

function bytesOf({ boundary, parts }: Form): Buffer {
  return Buffer.concat([
    ...parts.flatMap(({ name, isFile, content }) => [
      Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"`),
      Buffer.from(isFile ? '; filename="a b.wav"\r\nContent-Type: audio/wav\r\n\r\n' : '\r\n\r\n'),
      content,
      Buffer.from('\r\n'),
    ]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
}

function outcome(boundary: string, chunks: readonly Buffer[]): Outcome {
  return outcomeOf(new MultipartModelScanner(boundary), chunks);
}

describe('for any form and chunking, the multipart scanner', () => {
  test('decides as one who knows the parts', () => {
    fc.assert(
      fc.property(form, offsets, (written, cuts) => {
        const models = written.parts.filter(({ name, isFile }) => name === 'model' && !isFile);
        const [model, second] = models;
        const name = model?.content.toString() ?? '';
        const expected = second ? 'duplicate' : model ? { name, literal: name } : 'none';
        expect(outcome(written.boundary, cutAt(bytesOf(written), cuts))).toEqual(expected);
      }),
      { numRuns: 800 },
    );
  });

  test('makes the same of single bytes as of the whole, whatever the body', () => {
    const near = fc.string({
      unit: fc.constantFrom(
        '\r\n',
        '\n',
        '\r',
        '--B',
        '--',
        ' ',
        'x',
        'Content-Disposition: form-data; name="model"',
        '; filename=""',
        '\xff',
      ),
      maxLength: 40,
    });
    const prefixed = near.map(
      (body) => `--B\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n--B\r\n${body}`,
    );
    fc.assert(
      fc.property(
        fc.oneof(
          near,
          near.map((body) => `--B\r\n${body}`),
          prefixed,
        ),
        (body) => {
          for (const bytes of [Buffer.from(body), Buffer.from(body, 'latin1')]) {
            expect(outcome('B', singleBytes(bytes))).toEqual(outcome('B', [bytes]));
          }
        },
      ),
      { numRuns: 1500 },
    );
  });

  test('changes the value alone when it is spliced', () => {
    const single = fc
      .tuple(form, fc.nat(5), fc.stringMatching(/^[^\r\n]*$/))
      .map(([{ boundary, parts }, at, name]) => {
        const others = parts.filter((part) => part.name !== 'model' || part.isFile);
        others.splice(at, 0, { name: 'model', isFile: false, content: Buffer.from(name) });
        return { boundary, parts: others };
      });
    const replacement = fc.string({ unit: 'grapheme' }).filter((name) => !/[\r\n]/.test(name));
    fc.assert(
      fc.property(single, offsets, replacement, (written, cuts, name) => {
        const body = bytesOf(written);
        const scanner = new MultipartModelScanner(written.boundary);
        for (const chunk of cutAt(body, cuts)) scanner.scan(chunk);
        const { found } = scanner;
        if (found === null) throw new Error('not found');

        const spliced = Buffer.concat([
          body.subarray(0, found.start),
          scanner.encode(name),
          body.subarray(found.end),
        ]);
        const parts = written.parts.map((part) =>
          part.name === 'model' && !part.isFile ? { ...part, content: Buffer.from(name) } : part,
        );
        expect(spliced.equals(bytesOf({ ...written, parts }))).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });
});

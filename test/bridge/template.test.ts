import { describe, expect, test } from 'vitest';
import { type PathTemplate, parseTemplate, TemplateError } from '../../src/bridge/template.ts';

/** The segments as the route table sees them, variables gone: `v1/*:verb`. */
function flat({ segments, verb }: PathTemplate): string {
  const texts = segments.map((segment) =>
    segment.kind === 'literal' ? segment.text : segment.kind === 'single' ? '*' : '**',
  );
  return texts.join('/') + (verb === '' ? '' : `:${verb}`);
}

function variablesOf({ variables }: PathTemplate): string[] {
  return variables.map(
    ({ fieldPath, start, end, extent }) => `${fieldPath.join('.')} ${start}-${end} ${extent}`,
  );
}

const VALID: readonly (readonly [template: string, flat: string, ...variables: string[]])[] = [
  ['/', ''],
  ['/a', 'a'],
  ['/a/b/c', 'a/b/c'],
  ['/*', '*'],
  ['/**', '**'],
  ['/a/*/b', 'a/*/b'],
  ['/a/**', 'a/**'],
  ['/a:verb', 'a:verb'],
  ['/*:verb', '*:verb'],
  ['/**:verb', '**:verb'],
  ['/a/{b}', 'a/*', 'b 1-2 one'],
  ['/a/{b=*}', 'a/*', 'b 1-2 one'],
  ['/a/{b=c}', 'a/c', 'b 1-2 one'],
  ['/a/{b=**}', 'a/**', 'b 1-2 rest'],
  ['/a/{b=c/*}', 'a/c/*', 'b 1-3 several'],
  ['/a/{b=c/**}', 'a/c/**', 'b 1-3 rest'],
  ['/{a=*/*}/b', '*/*/b', 'a 0-2 several'],
  ['/{a}/{b}', '*/*', 'a 0-1 one', 'b 1-2 one'],
  ['/{a=b/*/c}/d/{e=**}:verb', 'b/*/c/d/**:verb', 'a 0-3 several', 'e 4-5 rest'],
  ['/v1/{a.b_2.C}:verb', 'v1/*:verb', 'a.b_2.C 1-2 one'],
  ['/{_}', '*', '_ 0-1 one'],
  // pchar, but for the two with a meaning here; dots that aren't alone
  ["/a-._~!$&'()+,;=@9", "a-._~!$&'()+,;=@9"],
  ['/.well-known/...', '.well-known/...'],
  // percent-encoded, in either case and beyond ASCII
  ['/a%2Fb%2fc', 'a/b/c'],
  ['/caf%C3%A9', 'café'],
  ['/a:ve%20rb', 'a:ve rb'],
  ['/%2A%2A', '**'],
];

const INVALID: readonly (readonly [template: string, message: RegExp, offset: number])[] = [
  ['', /begins with "\/"/, 0],
  ['a', /begins with "\/"/, 0],
  ['//', /segment is empty/, 1],
  ['/a//b', /segment is empty/, 3],
  ['/a/', /segment is empty/, 3],
  ['/a/:verb', /segment is empty/, 3],
  ['/:verb', /segment is empty/, 1],
  ['/a:', /verb is empty/, 3],
  ['/a:b:c', /a second ":"/, 4],
  ['/a:b/c', /verb is the end/, 4],
  ['/a:*', /"\*" stands inside a segment/, 3],
  ['/***', /"\*" stands inside a segment/, 3],
  ['/a*', /"\*" stands inside a segment/, 2],
  ['/*a', /"a" follows a wildcard or variable/, 2],
  ['/**/a', /"\*\*" stands before another segment/, 1],
  ['/{a=**}/b', /"\*\*" stands before another segment/, 4],
  ['/{a=**/b}', /"\*\*" stands before another segment/, 4],
  ['/{a=**}/{b=**}', /"\*\*" stands before another segment/, 4],
  ['/a/{b}c', /"c" follows a wildcard or variable/, 6],
  ['/a{b}', /"\{" stands inside a segment/, 2],
  ['/{a}{b}', /"\{" stands inside a segment/, 4],
  ['/{a', /isn't closed/, 3],
  ['/{a=b', /isn't closed/, 5],
  ['/{a=b:c}', /isn't closed/, 5],
  ['/{}', /field name is expected/, 2],
  ['/{=*}', /field name is expected/, 2],
  ['/{.a}', /field name is expected/, 2],
  ['/{a.}', /field name is expected/, 4],
  ['/{a..b}', /field name is expected/, 4],
  ['/{1a}', /field name is expected/, 2],
  ['/{a-b}', /isn't closed/, 3],
  ['/{a=}', /segment is empty/, 4],
  ['/{a=/b}', /segment is empty/, 4],
  ['/{a=b/}', /segment is empty/, 6],
  ['/{a={b}}', /holds another variable/, 4],
  ['/{a=b/{c}}', /holds another variable/, 6],
  ['/{a}/{a}', /stands there twice/, 5],
  ['/{a.b}/c/{a.b=d/*}', /stands there twice/, 9],
  ['/}', /closes nothing/, 1],
  ['/a}', /closes nothing/, 2],
  ['/.', /dot segment/, 1],
  ['/a/../b', /dot segment/, 3],
  ['/%2e%2E', /dot segment/, 1],
  ['/a b', /" " must be percent-encoded/, 2],
  ['/é', /"é" must be percent-encoded/, 1],
  ['/a?b', /"\?" must be percent-encoded/, 2],
  ['/a#b', /"#" must be percent-encoded/, 2],
  ['/a%', /two hexadecimal digits/, 2],
  ['/a%4', /two hexadecimal digits/, 2],
  ['/%zz', /two hexadecimal digits/, 1],
  ['/%ff', /not UTF-8/, 1],
];

describe('parseTemplate', () => {
  test.for(VALID)('takes %s', ([source, segments, ...variables]) => {
    const template = parseTemplate(source);
    expect(template.source).toBe(source);
    expect(flat(template)).toBe(segments);
    expect(variablesOf(template)).toEqual(variables);
  });

  test.for(INVALID)('refuses %s', ([source, message, offset]) => {
    let thrown: unknown;
    try {
      parseTemplate(source);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(TemplateError);
    expect((thrown as TemplateError).message).toMatch(message);
    expect((thrown as TemplateError).offset).toBe(offset);
  });
});

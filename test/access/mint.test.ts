import { describe, expect, test } from 'vitest';
import { hashKey, keyNameOf, mintKey, secretProblem, tokenFrom } from '../../src/access/mint.ts';
import { SluiceError } from '../../src/base/errors.ts';

describe('mintKey', () => {
  test('makes secrets of 22 random characters that it would accept itself', () => {
    const keys = Array.from({ length: 1_000 }, mintKey);
    for (const key of keys) {
      expect(key).toMatch(/^sk-[A-Za-z0-9_-]{22}$/);
      expect(secretProblem(key)).toBeNull();
    }
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('hashKey', () => {
  test('is SHA-256 in hexadecimal', () => {
    // sha256sum's own answer.
    expect(hashKey('sk-1234')).toBe('88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b');
  });
});

describe('keyNameOf', () => {
  test('shows the last four characters', () => {
    expect(keyNameOf('sk-abcdefghijkl')).toBe('sk-...ijkl');
  });
});

describe('secretProblem', () => {
  test.each(['sk-abcdefgh', `sk-${'x'.repeat(252)}`, 'sk--_AZaz09'])('accepts %s', (secret) => {
    expect(secretProblem(secret)).toBeNull();
  });

  test.each([
    ['', "it must begin with 'sk-'"],
    ['hunter2hunter2', "it must begin with 'sk-'"],
    ['SK-abcdefgh', "it must begin with 'sk-'"],
    ['sk-abcdefg', 'behind'],
    [`sk-${'x'.repeat(253)}`, 'behind'],
    ['sk-abcd efgh', 'behind'],
    ['sk-abcdefgh\n', 'behind'],
    ['sk-äbcdefgh', 'behind'],
    ['sk-abcdefgh=', 'behind'],
  ])('refuses %j', (secret, words) => {
    expect(secretProblem(secret)).toContain(words);
  });
});

describe('tokenFrom', () => {
  test('hashes a secret and leaves a token as it is', () => {
    const token = hashKey('sk-abcdefgh');
    expect(tokenFrom('sk-abcdefgh')).toBe(token);
    expect(tokenFrom(token)).toBe(token);
  });

  test.each(['', 'hunter2', 'A'.repeat(64), 'a'.repeat(63), 'a'.repeat(65)])(
    'refuses %j without repeating it',
    (text) => {
      const attempt = (): string => tokenFrom(text);
      expect(attempt).toThrow(SluiceError);
      expect(attempt).toThrow(/^key: neither a key/);
    },
  );
});

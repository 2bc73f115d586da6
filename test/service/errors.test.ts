import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { abortError, connectErrorFrom, sluiceErrorOf } from '../../src/service/errors.ts';

describe('connectErrorFrom', () => {
  test("keeps a SluiceError's message, code and headers, and has it as its cause", () => {
    const error = new SluiceError('missing_key', 'no key', { headers: ['www-authenticate', 'Bearer'] });
    const converted = connectErrorFrom(error);
    expect(converted.code).toBe(Code.Unauthenticated);
    expect(converted.rawMessage).toBe('no key');
    expect(converted.message).toBe('[unauthenticated] no key');
    expect([...converted.metadata]).toEqual([['www-authenticate', 'Bearer']]);
    expect(sluiceErrorOf(converted)).toBe(error);
  });

  test('keeps a ConnectError', () => {
    const error = new ConnectError('no', Code.NotFound);
    expect(connectErrorFrom(error)).toBe(error);
    expect(connectErrorFrom(connectErrorFrom(new SluiceError('internal', 'x'))).message).toBe('[internal] x');
  });

  test.each([new Error('secret'), 'secret', { secret: 1 }, undefined, null])(
    'keeps the text of what is unknown to itself: %o',
    (thrown) => {
      const converted = connectErrorFrom(thrown);
      expect(converted.code).toBe(Code.Internal);
      expect(converted.message).not.toContain('secret');
      const cause = sluiceErrorOf(converted);
      expect(cause?.reason).toBe('internal');
      expect(cause?.cause).toBe(thrown);
    },
  );

  test('takes the abort of the call for its reason, and no other error', () => {
    const abort = new AbortController();
    const fault = new TypeError('a fault');
    const aborted = new DOMException('aborted', 'AbortError');
    expect(connectErrorFrom(aborted, abort.signal).code).toBe(Code.Internal);
    abort.abort(new ConnectError('late', Code.DeadlineExceeded));
    expect(connectErrorFrom(aborted, abort.signal).code).toBe(Code.DeadlineExceeded);
    expect(connectErrorFrom(fault, abort.signal).code).toBe(Code.Internal);
  });

  test('survives half of a surrogate pair', () => {
    expect(connectErrorFrom(new SluiceError('invalid_request', 'a\ud800b')).rawMessage).toBe('a\ufffdb');
  });
});

describe('details', () => {
  const info = (error: SluiceError) => connectErrorFrom(error).findDetails(ErrorInfoSchema);
  const retry = (error: SluiceError) => connectErrorFrom(error).findDetails(RetryInfoSchema);

  test('name the row of the table, in upper case, and the parameter', () => {
    const error = new SluiceError('model_not_allowed', 'no', { param: 'model' });
    expect(info(error)).toMatchObject([
      { reason: 'MODEL_NOT_ALLOWED', domain: 'sluice', metadata: { param: 'model' } },
    ]);
    expect(info(new SluiceError('expired_key', 'no'))).toMatchObject([
      { reason: 'EXPIRED_KEY', metadata: {} },
    ]);
  });

  test('say how long to wait', () => {
    const error = new SluiceError('rate_limited', 'wait', { headers: ['Retry-After', '42'] });
    expect(retry(error)).toMatchObject([{ retryDelay: { seconds: 42n } }]);
    expect(info(error)).toMatchObject([{ reason: 'RATE_LIMITED' }]);
  });

  test.each([[[]], [['retry-after', 'Wed, 21 Oct 2026 07:28:00 GMT']], [['retry-after', '-1']]])(
    'say nothing of waiting where there is no delay: %j',
    (headers) => {
      expect(retry(new SluiceError('rate_limited', 'wait', { headers }))).toEqual([]);
    },
  );

  test('are those of refusals alone', () => {
    expect(info(new SluiceError('invalid_request', 'no'))).toEqual([]);
    expect(info(new SluiceError('internal', 'no'))).toEqual([]);
  });
});

describe('abortError', () => {
  test.each([
    [new SluiceError('shutting_down', 'bye'), Code.Unavailable],
    [new ConnectError('late', Code.DeadlineExceeded), Code.DeadlineExceeded],
    [undefined, Code.Canceled],
    ['anything', Code.Canceled],
  ])('says why the call was aborted: %o', (reason, code) => {
    expect(abortError(AbortSignal.abort(reason)).code).toBe(code);
  });
});

import { create, type DescMessage, type DescService, type MessageShape } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { createValidator, type Validator, type Violation, violationsToProto } from '@bufbuild/protovalidate';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { SluiceError } from '../../base/errors.ts';
import { inWords } from './rule-words.ts';

/**
 * Checks every request message against the `buf.validate` rules of its proto. INVALID_ARGUMENT names the field and
 * the rule of each violation, and has them as a `buf.validate.Violations` detail.
 *
 * @param services whose rules are compiled now: the first check of a message takes 27 ms, later ones below 1 µs
 */
export function createValidationInterceptor(services: readonly DescService[]): Interceptor {
  const validator = createValidator();
  for (const { methods } of services) {
    for (const { input } of methods) validator.validate(input, create(input));
  }
  return (next) => (request) => {
    if (request.stream) {
      return next({ ...request, message: validMessages(validator, request.method.input, request.message) });
    }
    const fault = faultOf(validator, request.method.input, request.message);
    return fault === null ? next(request) : Promise.reject(fault);
  };
}

async function* validMessages<D extends DescMessage>(
  validator: Validator,
  schema: D,
  messages: AsyncIterable<MessageShape<D>>,
): AsyncIterable<MessageShape<D>> {
  for await (const message of messages) {
    const fault = faultOf(validator, schema, message);
    if (fault !== null) throw fault;
    yield message;
  }
}

function faultOf<D extends DescMessage>(
  validator: Validator,
  schema: D,
  message: MessageShape<D>,
): Error | null {
  const { kind, violations, error } = validator.validate(schema, message);
  switch (kind) {
    case 'valid':
      return null;
    case 'invalid':
      return invalidArgument(violations);
    case 'error':
      return error;
  }
}

function invalidArgument(broken: readonly Violation[]): ConnectError {
  const violations = broken.map(inWords);
  const message = violations.map(String).join('; ');
  const [value, desc] = violationsToProto(violations);
  const param = pathToString(violations[0]?.field ?? []);
  const cause = new SluiceError('invalid_request', message, param === '' ? {} : { param });
  return new ConnectError(message, Code.InvalidArgument, undefined, [{ desc, value }], cause);
}

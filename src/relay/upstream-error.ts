import { type Reason, SluiceError } from '../base/errors.ts';
import type { FailureKind, UpstreamFailure } from '../upstream/client.ts';

const ANSWERS: Readonly<Record<FailureKind, readonly [Reason, string]>> = {
  connect: ['upstream_unreachable', 'could not be reached'],
  forbidden_address: [
    'upstream_forbidden',
    'is not called: its address is a link-local, metadata, unspecified or multicast one, which no target given through the API may have',
  ],
  connect_timeout: ['upstream_timeout', 'could not be reached in time'],
  tls: ['upstream_unreachable', 'could not be reached securely: TLS failed'],
  first_byte_timeout: ['upstream_timeout', 'did not answer in time'],
  idle_timeout: ['upstream_timeout', 'stopped sending'],
  reset: ['upstream_broken', 'closed the connection before its answer was complete'],
  protocol: ['upstream_broken', 'answered with something that is not HTTP/1.1'],
};

/** What the client is told of a failed upstream: its public name, never its address (that is in the log). */
export function errorFromFailure(failure: UpstreamFailure, name: string): SluiceError {
  const [reason, what] = ANSWERS[failure.kind];
  return new SluiceError(reason, `The upstream ${JSON.stringify(name)} ${what}.`, { cause: failure });
}

import { describe } from 'vitest';
import { aborts } from './contract/aborts.ts';
import { backpressure } from './contract/backpressure.ts';
import { brokenResponses } from './contract/broken-responses.ts';
import { connections } from './contract/connections.ts';
import { failures } from './contract/failures.ts';
import { guarded } from './contract/guarded.ts';
import { loads } from './contract/loads.ts';
import { requestBytes } from './contract/request-bytes.ts';
import { responses } from './contract/responses.ts';
import { staleConnections } from './contract/stale-connections.ts';
import { Rows, type Subject } from './contract/subject.ts';
import { timeouts } from './contract/timeouts.ts';
import { tls } from './contract/tls.ts';
import { upgrades } from './contract/upgrades.ts';

/**
 * What every `UpstreamClient` does (src/upstream/client.ts), as tests against real sockets on which an upstream
 * writes exact bytes. A client that can't hold a row says so in `gaps`, with a test of what it does instead.
 */
export function clientContract(name: string, subject: Subject): void {
  describe(`${name} as an upstream client`, () => {
    const rows = new Rows(subject);
    requestBytes(rows);
    responses(rows);
    brokenResponses(rows);
    connections(rows);
    staleConnections(rows);
    failures(rows);
    timeouts(rows);
    backpressure(rows);
    aborts(rows);
    upgrades(rows);
    tls(rows);
    guarded(rows);
    loads(rows);
    rows.checkGaps();
  });
}

import { Http1Client } from '../../src/upstream/http1/http1-client.ts';
import { clientContract } from './client-contract.ts';

clientContract('Http1Client', { create: (options) => new Http1Client(options), gaps: new Map() });

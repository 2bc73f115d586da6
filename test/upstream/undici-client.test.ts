import { UndiciClient } from '../../src/upstream/undici-client.ts';
import { clientContract } from './client-contract.ts';
import { UNDICI_GAPS } from './undici-gaps.ts';

clientContract('UndiciClient', { create: (options) => new UndiciClient(options), gaps: UNDICI_GAPS });

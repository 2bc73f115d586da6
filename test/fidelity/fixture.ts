import { pino } from 'pino';
import { expect } from 'vitest';
import { parseConfig } from '../../src/base/config/parse.ts';
import { type Gateway, startGateway } from '../../src/server/gateway.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';
import {
  actualRequest,
  actualResponse,
  expectedRequest,
  expectedResponse,
  type ResponseView,
  type View,
} from './allowed-differences.ts';
import type { Exchange, Way } from './exchange.ts';
import { type ClientView, rawExchange } from './raw-exchange.ts';
import { type Filling, requestBytes } from './request-text.ts';
import type { Message } from './wire.ts';

const PUBLIC_MODEL = 'a-name-of-our-own';
export const UPSTREAM_MODEL = 'qwen2.5-7b-instruct';
const MASTER_KEY = 'sk-fidelity-1234';

/** Where exchanges end, and who tells what arrived there. */
export interface Upstream {
  readonly port: number;
  /** Requests since the last call. */
  take(): readonly Message[] | Promise<readonly Message[]>;
  /** Gets ready for an exchange. */
  prepare?(exchange: Exchange): void;
  close(): Promise<void>;
}

/** An upstream, and a gateway through which the same upstream is reached on three ways. */
export interface Fixture {
  readonly upstream: Upstream;
  readonly gatewayPort: number;
  /** What the placeholders stand for on one of the ways, or directly. */
  filling(way: Way | 'direct'): Filling;
  /** Runs an exchange without the gateway; the result is kept. */
  direct(exchange: Exchange): Promise<Sides>;
  /** Lets `send` send an exchange's request, and gives back what reached the upstream and the client. */
  observe(exchange: Exchange, send: () => Promise<ClientView>): Promise<Observed>;
  /** Runs an exchange on one of the ways and compares both sides of it with the direct one. */
  compare(exchange: Exchange, way: Way): Promise<void>;
  close(): Promise<void>;
}

interface Sides {
  readonly request: View;
  readonly response: ResponseView;
}

/** The two ends of one run. */
interface Observed {
  readonly received: Message;
  readonly client: ClientView;
}

export async function startFixture(upstream: Upstream): Promise<Fixture> {
  const gateway = await gatewayTo(`http://127.0.0.1:${upstream.port}`);
  const gatewayPort = Number(new URL(gateway.url).port);
  const known = new Map<Exchange, Promise<Sides>>();

  function filling(way: Way | 'direct'): Filling {
    const authority = (port: number): string => `127.0.0.1:${port}`;
    const key = `Authorization: Bearer ${MASTER_KEY}`;
    const through = { host: authority(gatewayPort), model: PUBLIC_MODEL, prefix: '', extra: [key] };
    switch (way) {
      case 'direct':
        return { host: authority(upstream.port), model: UPSTREAM_MODEL, prefix: '', extra: [] };
      case 'provider':
        return { ...through, prefix: '/vllm' };
      case 'v1':
        return through;
      // An open route: its clients show no key, and the body is none of its business.
      case 'operator':
        return { ...through, model: UPSTREAM_MODEL, prefix: '/operator', extra: [] };
    }
  }

  async function observe(exchange: Exchange, send: () => Promise<ClientView>): Promise<Observed> {
    for (const step of exchange.before ?? []) {
      await rawExchange(upstream.port, requestBytes(step, filling('direct')));
    }
    upstream.prepare?.(exchange);
    await upstream.take();
    const client = await send();
    const [received, ...more] = await upstream.take();
    if (received === undefined)
      throw new Error(`nothing reached the upstream; the client got ${shown(client)}`);
    expect(more, 'requests too many').toEqual([]);
    return { received, client };
  }

  function run(exchange: Exchange, way: Way | 'direct'): Promise<Observed> {
    const port = way === 'direct' ? upstream.port : gatewayPort;
    const bytes = requestBytes(exchange.request, filling(way));
    return observe(exchange, () => rawExchange(port, bytes, exchange.request.cut));
  }

  async function runDirect(exchange: Exchange): Promise<Sides> {
    const { received, client } = await run(exchange, 'direct');
    return { request: expectedRequest(received), response: expectedResponse(client) };
  }

  function direct(exchange: Exchange): Promise<Sides> {
    const sides = known.get(exchange) ?? runDirect(exchange);
    known.set(exchange, sides);
    return sides;
  }

  return {
    upstream,
    gatewayPort,
    filling,
    direct,
    observe,
    async compare(exchange, way) {
      const expected = await direct(exchange);
      const { received, client } = await run(exchange, way);
      expect(actualRequest(received), `what the upstream got: ${exchange.why}`).toEqual(expected.request);
      expect(actualResponse(client, expected.response), `what the client got: ${exchange.why}`).toEqual(
        expected.response,
      );
    },
    async close() {
      await gateway.close();
      await upstream.close();
    },
  };
}

function gatewayTo(upstreamUrl: string): Promise<Gateway> {
  const config = parseConfig(
    `model_list:
  - model_name: ${PUBLIC_MODEL}
    litellm_params:
      model: hosted_vllm/${UPSTREAM_MODEL}
      api_base: ${upstreamUrl}
general_settings:
  master_key: ${MASTER_KEY}
  pass_through_endpoints:
    - path: /operator
      target: ${upstreamUrl}
      forward_headers: true
`,
    { file: 'config.yaml', env: { HOSTED_VLLM_API_BASE: upstreamUrl }, providers: PROVIDERS, baseDir: '.' },
  );
  const logger = pino({ level: 'silent' });
  return startGateway({ config, host: '127.0.0.1', port: 0, logger, version: '0.0.0-test' });
}

function shown({ response }: ClientView): string {
  return `${response.start} ${response.body.toString('latin1', 0, 500)}`;
}

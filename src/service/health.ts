import type { DescService } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/grpc/health/v1/health_pb.ts';
import { bind, type ServiceBinding } from './binding.ts';
import { abortError } from './errors.ts';

/** A name of a service: everyone may ask, and what is read of a message is held until it is whole. */
const MAX_REQUEST_BYTES = 4_096;

/** `grpc.health.v1.Health` for the server as a whole (`""`) and each of its services by name. */
export interface HealthService {
  readonly binding: ServiceBinding;
  /** Tells those who watch, and whoever asks from now on. */
  setServing(serving: boolean): void;
}

/** @param services read with each call, since health is one of them itself */
export function createHealth(services: () => readonly DescService[]): HealthService {
  let status: Status = Status.SERVING;
  const watching = new Set<() => void>();

  function statusOf(service: string): Status | null {
    return service === '' || services().some(({ typeName }) => typeName === service) ? status : null;
  }

  const binding = bind(
    Health,
    {
      check({ service }) {
        const found = statusOf(service);
        if (found !== null) return { status: found };
        throw new ConnectError(`There is no service ${JSON.stringify(service)} here.`, Code.NotFound);
      },
      list() {
        const names = ['', ...services().map(({ typeName }) => typeName)];
        return { statuses: Object.fromEntries(names.map((name) => [name, { status }])) };
      },
      async *watch({ service }, context: HandlerContext) {
        let told: Status | null = null;
        for (;;) {
          const found = statusOf(service) ?? Status.SERVICE_UNKNOWN;
          if (found !== told) {
            told = found;
            yield { status: found };
          } else {
            if (context.signal.aborted) throw abortError(context.signal);
            await changeOrAbort(watching, context.signal);
          }
        }
      },
    },
    {
      check: { quiet: true, readMaxBytes: MAX_REQUEST_BYTES },
      list: { quiet: true, readMaxBytes: MAX_REQUEST_BYTES },
      watch: { quiet: true, endless: true, readMaxBytes: MAX_REQUEST_BYTES },
    },
  );

  return {
    binding,
    setServing(serving) {
      status = serving ? Status.SERVING : Status.NOT_SERVING;
      for (const wake of [...watching]) wake();
    },
  };
}

/** Resolves with the next call of what it puts into `watching`, or when the signal aborts. */
function changeOrAbort(watching: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      watching.delete(wake);
      signal.removeEventListener('abort', wake);
      resolve();
    };
    watching.add(wake);
    signal.addEventListener('abort', wake);
  });
}

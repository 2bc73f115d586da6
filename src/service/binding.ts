import type { DescService } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';

/** An RPC service and what answers for it. Made by `bind`, which checks that the two fit. */
export interface ServiceBinding {
  readonly service: DescService;
  /** A method that is missing answers UNIMPLEMENTED. */
  readonly implementation: Partial<ServiceImpl<DescService>>;
  /** By the method's local name (`watchLoad`). */
  readonly policies?: Readonly<Record<string, MethodPolicy>>;
}

/** How calls of one method are treated where the usual way doesn't fit. */
export interface MethodPolicy {
  /**
   * The stream has no end of its own, so a shutdown ends it: `context.signal` aborts with the reason to throw, and a
   * wait for the next request message rejects with it. Other calls are let finish.
   */
  readonly endless?: true;
  /** A call that went well leaves no record: probes, and calls that something else records. */
  readonly quiet?: true;
  /** Largest request message, bytes; default: the server's. */
  readonly readMaxBytes?: number;
}

/** Binds an implementation to its service. */
export function bind<S extends DescService>(
  service: S,
  implementation: Partial<ServiceImpl<S>>,
  policies: { readonly [M in keyof S['method']]?: MethodPolicy } = {},
): ServiceBinding {
  // A list of bindings can't keep each one's types: the descriptors say at run time what these said here.
  return { service, implementation, policies } as ServiceBinding;
}

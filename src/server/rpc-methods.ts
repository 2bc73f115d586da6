import type { DescMethod } from '@bufbuild/protobuf';
import { createMethodImplSpec, type MethodImpl, type MethodImplSpec } from '@connectrpc/connect';
import { SluiceError } from '../base/errors.ts';
import type { MethodPolicy, ServiceBinding } from '../service/binding.ts';

/** One method with what answers for it. */
export interface BoundMethod {
  readonly method: DescMethod;
  readonly spec: MethodImplSpec;
  readonly policy: MethodPolicy;
  /** `sluice.v1.ModelService/LoadModel`. */
  readonly procedure: string;
}

export function boundMethods(bindings: readonly ServiceBinding[]): readonly BoundMethod[] {
  return bindings.flatMap(({ service, implementation, policies = {} }) =>
    service.methods.map((method) => {
      const procedure = `${service.typeName}/${method.name}`;
      const given = (implementation as Readonly<Record<string, Implementation>>)[method.localName];
      const impl = given === undefined ? unimplemented(procedure) : given.bind(implementation);
      return {
        method,
        spec: createMethodImplSpec(method, impl as MethodImpl<DescMethod>),
        policy: policies[method.localName] ?? {},
        procedure,
      };
    }),
  );
}

type Implementation = ((...args: unknown[]) => unknown) | undefined;

function unimplemented(procedure: string): () => never {
  return () => {
    throw new SluiceError('not_implemented', `${procedure} is not implemented here.`);
  };
}

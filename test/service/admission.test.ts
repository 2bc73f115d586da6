import { expect, test } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as V1Alpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { createDoor, type Door } from '../../src/access/admit.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { createAdmission } from '../../src/service/admission.ts';

const MASTER = new Headers({ authorization: 'Bearer sk-master' });
const NONE = new Headers();
const OTHER = new Headers({ authorization: 'Bearer sk-other' });

/** A door as it will be with virtual keys: `sk-virtual` may come in, but not administer. */
function doorWithVirtualKey(): Door {
  const inner = createDoor('sk-master');
  return {
    admit(entry) {
      const shown = entry.headers[entry.headers.indexOf('authorization') + 1];
      if (shown === 'Bearer sk-virtual') return { caller: { kind: 'stranger' }, spent: [], key: null };
      return inner.admit(entry);
    },
    requireMaster: (caller, what) => inner.requireMaster(caller, what),
  };
}

function reasonOf(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown.reason;
    throw thrown;
  }
  return 'admitted';
}

const master = ModelService.method.loadModel;
const any = ModelService.method.infer;
const relay = PassthroughService.method.forward;
const open = Health.method.check;

test.each([
  ['master key', 'a method that says nothing', master, MASTER, 'admitted'],
  ['no key', 'a method that says nothing', master, NONE, 'missing_key'],
  ['another key', 'a method that says nothing', master, OTHER, 'unknown_key'],
  [
    'a virtual key',
    'a method that says nothing',
    master,
    new Headers({ authorization: 'Bearer sk-virtual' }),
    'master_key_required',
  ],
  ['master key', 'a method for any key', any, MASTER, 'admitted'],
  ['no key', 'a method for any key', any, NONE, 'missing_key'],
  ['another key', 'a method for any key', any, OTHER, 'unknown_key'],
  [
    'a virtual key',
    'a method for any key',
    any,
    new Headers({ authorization: 'Bearer sk-virtual' }),
    'admitted',
  ],
  ['no key', "a method of the relay's", relay, NONE, 'admitted'],
  ['another key', "a method of the relay's", relay, OTHER, 'admitted'],
  ['no key', 'health', open, NONE, 'admitted'],
  ['another key', 'health', open, OTHER, 'admitted'],
  ['no key', 'reflection', ServerReflection.method.serverReflectionInfo, NONE, 'admitted'],
  ['no key', 'reflection v1alpha', V1Alpha.method.serverReflectionInfo, NONE, 'admitted'],
] as const)('%s at %s: %#', (_key, _method, method, headers, expected) => {
  const admit = createAdmission(doorWithVirtualKey);
  expect(reasonOf(() => admit(method, headers))).toBe(expected);
});

test('asks the door of the moment', () => {
  let door = createDoor('sk-master');
  const admit = createAdmission(() => door);
  expect(reasonOf(() => admit(master, MASTER))).toBe('admitted');
  door = createDoor('sk-new');
  expect(reasonOf(() => admit(master, MASTER))).toBe('unknown_key');
  door = createDoor(null);
  expect(reasonOf(() => admit(master, NONE))).toBe('admitted');
});

test('takes the key from every header that addresses one to the gateway', () => {
  const admit = createAdmission(() => createDoor('sk-master'));
  for (const name of ['x-litellm-api-key', 'x-api-key', 'api-key', 'x-goog-api-key']) {
    expect(admit(master, new Headers({ [name]: 'sk-master' })).caller).toEqual({ kind: 'master' });
  }
});

test('names the method that needs the master key', () => {
  const admit = createAdmission(doorWithVirtualKey);
  expect(() => admit(master, new Headers({ authorization: 'Bearer sk-virtual' }))).toThrow(
    'ModelService.LoadModel is an administrative endpoint: it needs the master key.',
  );
});

import { expect, test } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as V1Alpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { createDoor, type Door } from '../../src/access/admit.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { createAdmission } from '../../src/service/admission.ts';
import { key as sample } from '../store/samples.ts';

const MASTER = new Headers({ authorization: 'Bearer sk-master' });
const NONE = new Headers();
const OTHER = new Headers({ authorization: 'Bearer sk-other' });

/** Two virtual keys may come in, but not administer: one is known at once, for the other somebody has to be asked. */
function doorWithVirtualKeys(): Door {
  const key = sample('virtual');
  return createDoor({
    masterKey: 'sk-master',
    keys: {
      find: (secret) => {
        if (secret === 'sk-virtual') return key;
        return secret === 'sk-asked' ? Promise.resolve(key) : null;
      },
    },
  });
}

async function reasonOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown.reason;
    throw thrown;
  }
  return 'admitted';
}

const VIRTUAL = new Headers({ authorization: 'Bearer sk-virtual' });
const ASKED = new Headers({ authorization: 'Bearer sk-asked' });

const master = ModelService.method.loadModel;
const any = ModelService.method.infer;
const relay = PassthroughService.method.forward;
const open = Health.method.check;

test.each([
  ['master key', 'a method that says nothing', master, MASTER, 'admitted'],
  ['no key', 'a method that says nothing', master, NONE, 'missing_key'],
  ['another key', 'a method that says nothing', master, OTHER, 'unknown_key'],
  ['a virtual key', 'a method that says nothing', master, VIRTUAL, 'master_key_required'],
  ['a virtual key', 'a method that says nothing', master, ASKED, 'master_key_required'],
  ['master key', 'a method for any key', any, MASTER, 'admitted'],
  ['no key', 'a method for any key', any, NONE, 'missing_key'],
  ['another key', 'a method for any key', any, OTHER, 'unknown_key'],
  ['a virtual key', 'a method for any key', any, VIRTUAL, 'admitted'],
  ['a virtual key', 'a method for any key', any, ASKED, 'admitted'],
  ['no key', "a method of the relay's", relay, NONE, 'admitted'],
  ['another key', "a method of the relay's", relay, OTHER, 'admitted'],
  ['no key', 'health', open, NONE, 'admitted'],
  ['another key', 'health', open, OTHER, 'admitted'],
  ['no key', 'reflection', ServerReflection.method.serverReflectionInfo, NONE, 'admitted'],
  ['no key', 'reflection v1alpha', V1Alpha.method.serverReflectionInfo, NONE, 'admitted'],
] as const)('%s at %s: %#', async (_key, _method, method, headers, expected) => {
  const admit = createAdmission(doorWithVirtualKeys);
  expect(await reasonOf(() => admit(method, headers))).toBe(expected);
});

test('asks the door of the moment', async () => {
  let door = createDoor({ masterKey: 'sk-master' });
  const admit = createAdmission(() => door);
  expect(await reasonOf(() => admit(master, MASTER))).toBe('admitted');
  door = createDoor({ masterKey: 'sk-new' });
  expect(await reasonOf(() => admit(master, MASTER))).toBe('unknown_key');
  door = createDoor({ masterKey: null });
  expect(await reasonOf(() => admit(master, NONE))).toBe('admitted');
});

test('takes the key from every header that addresses one to the gateway', async () => {
  const admit = createAdmission(() => createDoor({ masterKey: 'sk-master' }));
  for (const name of ['x-litellm-api-key', 'x-api-key', 'api-key', 'x-goog-api-key']) {
    const { caller } = await admit(master, new Headers({ [name]: 'sk-master' }));
    expect(caller).toEqual({ kind: 'master' });
  }
});

test('says who it was that came in', async () => {
  const admit = createAdmission(doorWithVirtualKeys);
  for (const headers of [VIRTUAL, ASKED]) {
    expect((await admit(any, headers)).caller).toEqual({ kind: 'key', key: sample('virtual') });
  }
});

test.each([VIRTUAL, ASKED])('names the method that needs the master key', async (headers) => {
  const admit = createAdmission(doorWithVirtualKeys);
  await expect(async () => admit(master, headers)).rejects.toThrow(
    'ModelService.LoadModel is an administrative endpoint: it needs the master key.',
  );
});

import { type DescMethod, getOption } from '@bufbuild/protobuf';
import { type ContextValues, createContextKey, type HandlerContext } from '@connectrpc/connect';
import { Access, access as accessOption } from '../../gen/sluice/v1/access_pb.ts';
import type { Admission, Door, Entry } from '../access/admit.ts';
import { SluiceError } from '../base/errors.ts';

/** Where a call's ContextValues have who was let in; null before `createAdmission`'s function has looked. */
export const admissionKey = createContextKey<Admission | null>(null, { description: 'admission' });

/**
 * Decides who may call a method, from the headers alone: nothing of a body is read for a caller who is refused. A
 * promise where the store has to be asked for a virtual key.
 * @throws SluiceError (or rejects with it) 401, 403, 503
 */
export type Admit = (method: DescMethod, headers: Headers) => Admission | Promise<Admission>;

/**
 * Services that everyone may call who reaches the port: probes have no key, and the schema is no secret
 * (`grpcurl -plaintext host:4000 list`). Their protos are not ours, so they can't say it themselves.
 */
const OPEN: ReadonlySet<string> = new Set([
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
]);

/** One rule for RPC and REST: the method's option `sluice.v1.access`, asked at the door of the moment. */
export function createAdmission(door: () => Door): Admit {
  const known = new Map<DescMethod, Rule>();
  return (method, headers) => {
    let rule = known.get(method);
    if (rule === undefined) {
      rule = ruleOf(method);
      known.set(method, rule);
    }
    if (rule === 'open') return STRANGER;
    const current = door();
    if (rule === 'relay') return whoever(current, entryFrom(headers));
    const admission = current.admit(entryFrom(headers));
    if (rule === 'any') return admission;
    const asMaster = (admitted: Admission): Admission => {
      current.requireMaster(admitted.caller, `${method.parent.name}.${method.name}`);
      return admitted;
    };
    return admission instanceof Promise ? admission.then(asMaster) : asMaster(admission);
  };
}

/** Who was let in. For implementations, which are never called without. */
export function admissionOf(context: Pick<HandlerContext, 'values'>): Admission {
  const admission = context.values.get(admissionKey);
  if (admission === null) throw new SluiceError('internal', 'The call was not admitted.');
  return admission;
}

/** Lets the caller of an admitted call in, for whoever calls a service in process. */
export function withAdmission(values: ContextValues, admission: Admission): ContextValues {
  return values.set(admissionKey, admission);
}

/**
 * Who calls, as far as the call itself tells: what it carries may show another key, or go where none is asked for. So
 * nobody is refused here.
 */
function whoever(door: Door, entry: Entry): Admission | Promise<Admission> {
  try {
    const admission = door.admit({ ...entry, keyRequired: false });
    return admission instanceof Promise ? admission.catch(() => STRANGER) : admission;
  } catch {
    return STRANGER;
  }
}

const STRANGER: Admission = { caller: { kind: 'stranger' }, spent: [], key: null };

/** `open`: nothing is asked; `relay`: nobody is refused here, the relay's door decides. */
type Rule = 'open' | 'relay' | 'any' | 'master';

function ruleOf(method: DescMethod): Rule {
  if (OPEN.has(method.parent.typeName)) return 'open';
  switch (getOption(method, accessOption)) {
    case Access.RELAY:
      return 'relay';
    case Access.ANY_KEY:
      return 'any';
    default:
      return 'master';
  }
}

function entryFrom(headers: Headers): Entry {
  const raw: string[] = [];
  headers.forEach((value, name) => {
    raw.push(name, value);
  });
  // A key in the query would be in everybody's logs; RPC clients have no reason to put one there.
  return { headers: raw, query: '', keyHeader: null, keyRequired: true };
}

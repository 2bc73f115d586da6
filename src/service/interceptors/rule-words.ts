import { type DescField, getOption, hasOption } from '@bufbuild/protobuf';
import { isReflectMessage, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { Violation } from '@bufbuild/protovalidate';
import {
  FieldRulesSchema,
  field as fieldRulesOption,
} from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';

/**
 * The same violation in words for people, where the validator has "1 characters", "item(s)" and backquotes. A rule in
 * CEL has its message in the proto and keeps it, as does any rule that isn't known here.
 */
export function inWords(violation: Violation): Violation {
  const { message, ruleId, field, rule, forKey } = violation;
  const words = wordsFor(violation) ?? message;
  return new Violation(forKey ? `a key ${words}` : words, ruleId, field, rule, forKey);
}

const WORDS: Readonly<Record<string, (value: unknown) => string>> = {
  min_len: (least) => atLeast(least, 'characters'),
  max_len: (most) => `must have at most ${most} characters`,
  min_bytes: (least) => atLeast(least, 'bytes'),
  max_bytes: (most) => `must have at most ${most} bytes`,
  min_items: (least) => atLeast(least, 'items'),
  max_items: (most) => `must have at most ${most} items`,
  min_pairs: (least) => atLeast(least, 'entries'),
  max_pairs: (most) => `must have at most ${most} entries`,
  prefix: (prefix) => `must begin with ${JSON.stringify(prefix)}`,
  suffix: (suffix) => `must end with ${JSON.stringify(suffix)}`,
  finite: () => 'must be a finite number',
};

const BOUNDS: Readonly<Record<string, string>> = {
  gt: 'above',
  gte: 'at least',
  lt: 'below',
  lte: 'at most',
};

/** Null: none are known. */
function wordsFor({ ruleId, field, rule }: Violation): string | null {
  const last = field.at(-1);
  if (ruleId === 'required') {
    if (last?.kind !== 'oneof') return 'is required';
    return `one of ${last.fields.map(({ name }) => name).join(', ')} is required`;
  }
  const subject = field.findLast((element) => element.kind === 'field');
  const rules = subject === undefined ? null : rulesAt(subject, rule.slice(0, -1));
  if (rules === null) return null;
  const name = ruleId.slice(ruleId.lastIndexOf('.') + 1);
  return WORDS[name]?.(ruleValue(rules, name)) ?? rangeWords(rules, name);
}

/** The typed rules (`StringRules`, …) of a field, of its items or of its keys; null where there are none. */
function rulesAt(subject: DescField, path: Violation['rule']): ReflectMessage | null {
  if (!hasOption(subject, fieldRulesOption)) return null;
  let rules = reflect(FieldRulesSchema, getOption(subject, fieldRulesOption));
  for (const element of path) {
    const next = element.kind === 'field' ? rules.get(element) : null;
    if (!isReflectMessage(next)) return null;
    rules = next;
  }
  return rules;
}

function ruleValue(rules: ReflectMessage, name: string): unknown {
  const field = rules.fields.find((one) => one.name === name);
  return field === undefined ? undefined : rules.get(field);
}

/** `gte`, or two together such as `gte_lte`. Not for durations and times, whose bounds are messages. */
function rangeWords(rules: ReflectMessage, name: string): string | null {
  const parts = name.split('_').map((bound) => {
    const value = ruleValue(rules, bound);
    const isNumber = typeof value === 'number' || typeof value === 'bigint';
    return BOUNDS[bound] !== undefined && isNumber ? `${BOUNDS[bound]} ${value}` : null;
  });
  return parts.includes(null) ? null : `must be ${parts.join(' and ')}`;
}

function atLeast(least: unknown, what: string): string {
  return least === 1n ? 'must not be empty' : `must have at least ${least} ${what}`;
}

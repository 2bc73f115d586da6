import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import type { Path, Place, Places } from './report.ts';
import { syntaxFaults } from './yaml-syntax.ts';

export type YamlValue = string | number | boolean | null | readonly YamlValue[] | YamlObject;

/** A mapping as an object without a prototype: no key of the file can reach anything but itself. */
export interface YamlObject {
  readonly [key: string]: YamlValue;
}

/** A YAML text as plain values, with the place of each. */
export interface YamlTree extends Places {
  /** undefined: the text holds nothing, or its syntax is broken. */
  readonly root: YamlValue | undefined;
  /** What is wrong with the text itself, as YAML. */
  readonly faults: readonly TreeFault[];
}

interface TreeFault {
  readonly place: Place;
  /** Empty where the syntax is broken: there are no paths then. */
  readonly message: string;
}

/** A configuration is written by hand: what goes beyond these is an accident, or an attack on the parser. */
const MAX_CHARACTERS = 8 * 1024 * 1024;
const MAX_DEPTH = 100;
const MAX_VALUES = 200_000;

const START: Place = { line: 1, column: 1 };

/**
 * Reads one YAML 1.2 document (core schema, plus `<<` merge keys, which PyYAML's users rely on). Mappings have
 * string keys; aliases may repeat values, but not without bound; tags beyond YAML's own scalar types are faults.
 * Never throws.
 */
export function parseYamlTree(text: string): YamlTree {
  if (text.length > MAX_CHARACTERS) {
    return broken([{ place: START, message: `is longer than ${MAX_CHARACTERS} characters` }]);
  }
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false, // reported below, with the place of the first
      stringKeys: true,
      schema: 'core', // whatever a %YAML directive says
      merge: false, // resolved below, so that merged values have places
      resolveKnownTags: false,
      logLevel: 'error',
    });
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    return broken([{ place: START, message: 'is nested too deeply' }]);
  }
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return line === 0 ? START : { line, column: col };
  };
  const syntax = syntaxFaults(document, placeAt);
  if (syntax.length > 0) return broken(syntax);
  const reader = new TreeReader(placeAt);
  const root = document.contents === null ? undefined : reader.read(document.contents);
  return {
    root,
    faults: reader.faults,
    valuePlace: (path) => reader.placeOf(document.contents, path, 'value'),
    keyPlace: (path) => reader.placeOf(document.contents, path, 'key'),
  };
}

function broken(faults: readonly TreeFault[]): YamlTree {
  return { root: undefined, faults, valuePlace: () => START, keyPlace: () => START };
}

/** The tree of a configuration that has no file. */
export const EMPTY_TREE: YamlTree = broken([]);

interface Read {
  readonly value: YamlValue;
  /** How many values this one is, aliases counted as often as they are used. */
  readonly size: number;
}

const TOO_MANY: Read = { value: null, size: 1 };

class TreeReader {
  readonly faults: TreeFault[] = [];
  readonly #placeAt: (offset: number) => Place;
  readonly #anchors = new Map<string, Node>();
  /** Each alias is resolved where it stands in the text: a later anchor of the same name doesn't change it. */
  readonly #targets = new Map<Node, Node>();
  /** Every node is read once, however many aliases show it. */
  readonly #done = new Map<Node, Read>();
  readonly #open = new Set<Node>();
  /** Keys copied by `<<`, all in all. */
  #merged = 0;
  #overflowing = false;

  constructor(placeAt: (offset: number) => Place) {
    this.#placeAt = placeAt;
  }

  read(node: Node): YamlValue {
    return this.#read(node, 0).value;
  }

  #fault(node: Node, message: string): void {
    this.faults.push({ place: this.#place(node), message });
  }

  #place(node: Node | null): Place {
    return this.#placeAt(node?.range?.[0] ?? 0);
  }

  #read(node: Node, depth: number): Read {
    const known = this.#done.get(node);
    if (known !== undefined) return known;
    if (depth > MAX_DEPTH) {
      this.#fault(node, `is nested more than ${MAX_DEPTH} levels deep`);
      return TOO_MANY;
    }
    if (isAlias(node)) return this.#readAlias(node, node.source, depth);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    this.#checkTag(node);
    this.#open.add(node);
    const read = this.#bounded(node, this.#readContent(node, depth));
    this.#open.delete(node);
    this.#done.set(node, read);
    return read;
  }

  #readContent(node: Node, depth: number): Read {
    if (isMap(node)) return this.#readMap(node, depth);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.#read(item as Node, depth + 1));
      return { value: Object.freeze(items.map((item) => item.value)), size: total(items) };
    }
    return { value: isScalar(node) ? scalarValue(node) : null, size: 1 };
  }

  #readAlias(alias: Node, name: string, depth: number): Read {
    const target = this.#anchors.get(name);
    if (target === undefined) {
      this.#fault(alias, `nothing above has the anchor &${name}`);
      return TOO_MANY;
    }
    if (this.#open.has(target)) {
      this.#fault(alias, `*${name} stands inside of what it repeats`);
      return TOO_MANY;
    }
    this.#targets.set(alias, target);
    return this.#read(target, depth);
  }

  #readMap(map: YAMLMap, depth: number): Read {
    const value: Record<string, YamlValue> = Object.create(null);
    const parts: Read[] = [];
    const merged: Read[] = [];
    const seen = new Map<string, Node>();
    for (const pair of map.items) {
      const key = pair.key as Scalar;
      const name = keyName(key);
      const read = pair.value === null ? TOO_MANY : this.#read(pair.value as Node, depth + 1);
      parts.push(read);
      const first = seen.get(name);
      if (isMergeKey(key)) {
        merged.push(...this.#mergeSources(pair.value as Node | null, read));
      } else if (first !== undefined) {
        this.#fault(
          key,
          `the key ${JSON.stringify(name)} is here twice; the first is on line ${this.#place(first).line}`,
        );
      } else if (name === '__proto__') {
        this.#fault(key, '"__proto__" can\'t be a key');
      } else {
        seen.set(name, key);
        value[name] = read.value;
      }
    }
    for (const source of merged) {
      const inherited = Object.entries(source.value ?? {});
      this.#merged += inherited.length;
      if (this.#merged > MAX_VALUES) return { value: null, size: this.#merged };
      for (const [name, one] of inherited) value[name] ??= one;
    }
    return { value: Object.freeze(value), size: total(parts) };
  }

  /** `<<: *one` or `<<: [*one, *two]`; earlier ones win (https://yaml.org/type/merge.html). */
  #mergeSources(node: Node | null, read: Read): readonly Read[] {
    const values = Array.isArray(read.value) ? read.value : [read.value];
    const sources = values.filter(isYamlObject);
    if (node === null || sources.length < values.length) {
      if (node !== null) this.#fault(node, '<< merges mappings, and this is none');
      return [];
    }
    return sources.map((value) => ({ value, size: 0 }));
  }

  /** Once the values are too many they are no longer kept: a billion laughs costs no more than one. */
  #bounded(node: Node, read: Read): Read {
    if (read.size <= MAX_VALUES) return read;
    if (!this.#overflowing) this.#fault(node, `holds more than ${MAX_VALUES} values, aliases included`);
    this.#overflowing = true;
    return TOO_MANY;
  }

  #checkTag(node: Node): void {
    const tag = node.tag;
    if (tag === undefined || /^(!|tag:yaml\.org,2002:(str|int|float|bool|null|map|seq))$/.test(tag)) return;
    const shown = tag.replace(/^tag:yaml\.org,2002:/, '!!');
    this.#fault(node, `the tag ${shown} is not known here; a variable of the environment is os.environ/NAME`);
  }

  /** Follows a path through aliases and merges as far as it exists. */
  placeOf(root: Node | null, path: Path, want: 'key' | 'value'): Place {
    let node = root;
    let place = this.#place(root);
    for (const [index, step] of path.entries()) {
      const found = this.#step(node, step);
      if (found === null) return place;
      const atKey = want === 'key' && index === path.length - 1 && found.key !== null;
      place = this.#place(atKey ? found.key : (found.value ?? found.key));
      node = found.value;
    }
    return place;
  }

  #step(node: Node | null, step: string | number): { key: Node | null; value: Node | null } | null {
    const target = node !== null ? (this.#targets.get(node) ?? node) : null;
    if (isSeq(target) && typeof step === 'number') {
      const item = target.items[step] as Node | undefined;
      return item === undefined ? null : { key: null, value: item };
    }
    if (!isMap(target) || typeof step !== 'string') return null;
    const read = this.#done.get(target)?.value;
    if (!isYamlObject(read) || !Object.hasOwn(read, step)) return null;
    const pairs = target.items as Pair<Node, Node | null>[];
    const own = pairs.find((pair) => !isMergeKey(pair.key) && keyName(pair.key as Scalar) === step);
    if (own !== undefined) return { key: own.key, value: own.value };
    for (const pair of pairs.filter((candidate) => isMergeKey(candidate.key))) {
      const value = pair.value !== null ? (this.#targets.get(pair.value) ?? pair.value) : null;
      const sources = isSeq(value) ? (value.items as Node[]) : [value];
      for (const source of sources) {
        const inherited = this.#step(source, step);
        if (inherited !== null) return inherited;
      }
    }
    return null;
  }
}

export function isYamlObject(value: YamlValue | undefined): value is YamlObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function total(parts: readonly Read[]): number {
  return parts.reduce((sum, part) => sum + part.size, 1);
}

function isMergeKey(key: Node): boolean {
  return isScalar(key) && key.value === '<<' && key.type === 'PLAIN';
}

function keyName(key: Scalar): string {
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}

function scalarValue(scalar: Scalar): YamlValue {
  const { value } = scalar;
  if (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'boolean'
  ) {
    return value;
  }
  return scalar.source ?? String(value);
}

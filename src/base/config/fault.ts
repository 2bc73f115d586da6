/** What is wrong with a configuration, and where. `message` says the remedy and never holds a secret. */
export interface Fault {
  /** The file as it was named; null when the environment or a bare text was read. */
  readonly file: string | null;
  /** 1-based; null when the fault isn't in a text (a variable, a file that can't be read). */
  readonly line: number | null;
  readonly column: number | null;
  /** `pass_through_endpoints[1].target`, a variable's name, or empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** One line: `config.yaml:12: pass_through_endpoints[1].target: not a URL: …`. */
export function formatFault(fault: Fault): string {
  const parts = [place(fault), fault.path, fault.message];
  return parts.filter((part) => part !== '').join(': ');
}

function place(fault: Fault): string {
  if (fault.line === null) return fault.file ?? 'environment';
  return fault.file === null ? `line ${fault.line}` : `${fault.file}:${fault.line}`;
}

/** A configuration that can't be used: every fault of it, in the order of their lines. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[], cause?: unknown) {
    super(faults.map(formatFault).join('\n'), cause === undefined ? undefined : { cause });
    this.faults = Object.freeze([...faults]);
  }
}

/**
 * Columns for people: as wide as their widest cell, two spaces between, nothing behind the last. Control characters
 * of what a server sent don't reach the terminal.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((cells) => cells.map(printable));
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** On one line, and without anything that a terminal would act on. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

/** A name as a shell takes it for one word, and without anything that a terminal would act on. */
export function word(name: string): string {
  const shown = printable(name);
  return /^[\w@%+=:,./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", `'\\''`)}'`;
}

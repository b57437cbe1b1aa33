/** Text in columns. Names come from anybody: control and format characters, terminal escapes among them, become U+FFFD. */

const shown = (cell: string): string => cell.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\uFFFD");

/** Rows under their headings, columns two spaces apart, each as wide as its widest cell but for the last. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows].map((row) => row.map(shown));
  const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ");
  return all.map((row) => `${line(row).trimEnd()}\n`).join("");
}

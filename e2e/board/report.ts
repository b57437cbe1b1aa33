/** What was seen, for people and for programs. */

export interface ScenarioReport {
  readonly name: string;
  readonly title: string;
  readonly tookS: number;
  /** Undefined when all was as it must be. */
  readonly failure?: string;
  /** What was checked, in order. */
  readonly checks: readonly string[];
  /** What was measured, by name with its unit. */
  readonly figures: Readonly<Record<string, string | number>>;
}

export interface BoardReport {
  readonly image: string;
  readonly startedAt: string;
  readonly seed: number;
  /** Sizes of what is put onto a board, bytes. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly scenarios: readonly ScenarioReport[];
  /** False when it was interrupted. */
  readonly complete: boolean;
}

export const passed = ({ complete, scenarios }: BoardReport): boolean =>
  complete && scenarios.every(({ failure }) => failure === undefined);

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

export function asText(report: BoardReport): string {
  const lines = [`The emulated board, ${report.startedAt}, seed ${report.seed}`, `image ${report.image}`, ""];
  for (const [name, bytes] of Object.entries(report.sizes)) lines.push(`${name}: ${mebibytes(bytes)}`);
  for (const { name, title, tookS, failure, checks, figures } of report.scenarios) {
    lines.push("", `${failure === undefined ? "ok    " : "FAILED"} ${name}: ${title} (${tookS} s)`);
    for (const check of checks) lines.push(`       + ${check}`);
    for (const [what, value] of Object.entries(figures)) lines.push(`       = ${what}: ${value}`);
    if (failure !== undefined) lines.push(`       - ${failure.replaceAll("\n", "\n         ")}`);
  }
  const bad = report.scenarios.filter(({ failure }) => failure !== undefined).length;
  const verdict = report.complete
    ? `${report.scenarios.length - bad} of ${report.scenarios.length} passed`
    : "interrupted";
  return [...lines, "", verdict, ""].join("\n");
}

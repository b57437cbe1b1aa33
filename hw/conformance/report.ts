/** What a run of the suite comes to, as text for a terminal, JSON, and a page for the acceptance file. */
import { sanitize } from "../protocol/index.ts";
import type { CheckResult } from "./suite.ts";

export interface Report {
  /** The port or command that was tested. */
  readonly engine: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** All checks have been run; else somebody interrupted it. */
  readonly complete: boolean;
  readonly results: readonly CheckResult[];
}

const marks = { passed: "ok  ", failed: "FAIL", skipped: "skip" } as const;

export const reportLine = ({ name, outcome, note, tookMs }: CheckResult): string =>
  `${marks[outcome]} ${name} (${tookMs.toFixed(0)} ms)${note ? `\n       ${sanitize(note)}` : ""}`;

const count = ({ results }: Report, outcome: CheckResult["outcome"]): number =>
  results.filter((result) => result.outcome === outcome).length;

export function verdictLine(report: Report): string {
  const { complete, results } = report;
  const counts = (["passed", "failed", "skipped"] as const).map((it) => `${count(report, it)} ${it}`);
  const failed = count(report, "failed") > 0;
  let verdict = "the engine conforms to version 1 of the engine link";
  if (!complete) verdict = "interrupted: no verdict";
  if (failed || results.length === 0) verdict = "the engine does not conform";
  return `${counts.join(", ")}: ${verdict}`;
}

/** All that was asked for has been run, and nothing failed. */
export const conforms = (report: Report): boolean =>
  report.complete && report.results.length > 0 && count(report, "failed") === 0;

const escaped = (text: string): string =>
  sanitize(text).replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const html = (report: Report): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Engine link: conformance of ${escaped(report.engine)}</title>
<style>
  body { font: 15px/1.45 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #1d2730 }
  table { border-collapse: collapse; width: 100% } td { border-top: 1px solid #dde3e8; padding: .4rem .6rem; vertical-align: top }
  td:last-child { text-align: right; color: #667; white-space: nowrap } small { display: block; color: #667 }
  .passed td:first-child { color: #1a7f37 } .failed td:first-child { color: #b42318; font-weight: bold } .skipped td:first-child { color: #889 }
</style>
<h1>Engine link: conformance</h1>
<p>${escaped(report.engine)}, ${escaped(report.startedAt)}</p>
<p><strong>${escaped(verdictLine(report))}</strong></p>
<table>
${report.results
  .map(
    ({ name, outcome, note, tookMs }) =>
      `<tr class="${outcome}"><td>${outcome}</td><td>${escaped(name)}<small>${escaped(note)}</small></td><td>${tookMs.toFixed(0)} ms</td></tr>`,
  )
  .join("\n")}
</table>
</html>
`;

const text = (report: Report): string =>
  [
    `Engine link: conformance of ${sanitize(report.engine)}, ${report.startedAt}`,
    ...report.results.map(reportLine),
    verdictLine(report),
    "",
  ].join("\n");

/** By the end of a file's name; undefined when it has none that is known. */
export function reportAs(fileName: string, report: Report): string | undefined {
  if (fileName.endsWith(".json"))
    return `${JSON.stringify({ ...report, conforms: conforms(report) }, undefined, 2)}\n`;
  if (fileName.endsWith(".html")) return html(report);
  return fileName.endsWith(".txt") ? text(report) : undefined;
}

/** Runs the checks on a line and makes a report of them. */
import type { Line } from "../src/link/line.ts";
import { type Check, checks } from "./checks.ts";
import { fullSpeed, type Patience, RawHost } from "./raw-host.ts";

export interface CheckResult {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** What was found out, or what went wrong. */
  readonly note: string;
  readonly tookMs: number;
}

async function runCheck(check: Check, line: Line, patience: Patience): Promise<CheckResult> {
  const host = new RawHost(line, patience);
  const startMs = performance.now();
  const result = (outcome: CheckResult["outcome"], note: string): CheckResult => ({
    name: check.name,
    outcome,
    note,
    tookMs: performance.now() - startMs,
  });
  try {
    const found = await check.run(host);
    return typeof found === "object" ? result("skipped", found.skipped) : result("passed", found ?? "");
  } catch (error) {
    return result("failed", error instanceof Error ? error.message : String(error));
  } finally {
    host.stop();
  }
}

/** One check after the other; each begins a session of its own. */
export async function* runConformance(line: Line, patience = fullSpeed): AsyncGenerator<CheckResult> {
  for (const check of checks) yield await runCheck(check, line, patience);
}

const marks = { passed: "ok  ", failed: "FAIL", skipped: "skip" } as const;

export const reportLine = ({ name, outcome, note, tookMs }: CheckResult): string =>
  `${marks[outcome]} ${name} (${tookMs.toFixed(0)} ms)${note ? `\n       ${note}` : ""}`;

/** Runs the checks on a line, one after the other; each begins a session of its own. */
import type { Line } from "../src/link/line.ts";
import type { Check } from "./checks/check.ts";
import { attendedChecks } from "./checks/stops.ts";
import { checks } from "./checks.ts";
import type { Operator } from "./operator.ts";
import { fullSpeed, type Patience, RawHost, TooLate } from "./raw-host.ts";

export interface CheckResult {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** What was found out, or what went wrong. */
  readonly note: string;
  readonly tookMs: number;
}

export interface SuiteOptions {
  /** Default: what the specification asks of a real engine. */
  readonly patience?: Patience;
  /** Without one the checks that need somebody at the engine are left out. */
  readonly operator?: Operator;
  /** Ends the suite; the check under way is not reported. */
  readonly signal?: AbortSignal;
}

/** A good engine fails where it is not given its time. */
const lateHint = "where the engine is emulated, or this machine is busy, --patience 4 waits longer";

async function runCheck(check: Check, line: Line, patience: Patience, signal: AbortSignal) {
  const host = new RawHost(line, patience);
  const startMs = performance.now();
  const result = (outcome: CheckResult["outcome"], note: string): CheckResult => ({
    name: check.name,
    outcome,
    note,
    tookMs: performance.now() - startMs,
  });
  const interrupted = Promise.withResolvers<never>();
  const interrupt = (): void => interrupted.reject(signal.reason as Error);
  signal.addEventListener("abort", interrupt);
  try {
    signal.throwIfAborted();
    const found = await Promise.race([check.run(host), interrupted.promise]);
    return typeof found === "object" ? result("skipped", found.skipped) : result("passed", found ?? "");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return result("failed", error instanceof TooLate ? `${why} (${lateHint})` : why);
  } finally {
    signal.removeEventListener("abort", interrupt);
    host.stop();
  }
}

/** As many as `runConformance` runs. */
export const checkCount = ({ operator }: SuiteOptions): number => checksOf(operator).length;

const checksOf = (operator: Operator | undefined): readonly Check[] =>
  operator ? [...checks, ...attendedChecks(operator)] : checks;

export async function* runConformance(line: Line, options: SuiteOptions = {}): AsyncGenerator<CheckResult> {
  const { patience = fullSpeed, operator, signal } = options;
  const gone = new AbortController();
  void line.closed.then(() => gone.abort(new Error("the engine's line is gone")));
  const either = signal ? AbortSignal.any([signal, gone.signal]) : gone.signal;
  for (const check of checksOf(operator)) {
    const result = await runCheck(check, line, patience, either);
    if (signal?.aborted) return;
    yield result;
    if (gone.signal.aborted) return;
  }
}

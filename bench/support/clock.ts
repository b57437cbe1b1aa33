/** CPU time: of this process, and of programs it calls. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const call = promisify(execFile);

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Something to measure: its name, what tells its CPU seconds (undefined where it cannot run), and whether once is enough. */
export type Way = readonly [
  label: string,
  seconds: () => Promise<number | undefined>,
  slow?: "slow" | undefined,
];

/** Measures ways in turns, so that what else the machine does meets all alike; the median of each that can run. */
export async function medians(ways: readonly Way[], runs: number): Promise<Map<string, number>> {
  const taken = new Map(ways.map(([label]) => [label, [] as number[]]));
  const failed = new Set<string>();
  for (let run = 0; run < runs; run++) {
    for (const [label, seconds, slow] of ways) {
      if (failed.has(label) || (slow && run > 0)) continue;
      const time = await seconds();
      if (time !== undefined) taken.get(label)!.push(time);
      else failed.add(label);
    }
  }
  for (const label of failed) console.log(`${label}: not installed, or failed`);
  return new Map(
    [...taken].filter(([, times]) => times.length > 0).map(([label, times]) => [label, median(times)]),
  );
}

/** CPU seconds of `work`, all threads of this process. */
export async function ownSeconds(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** The same of a second run: the first one, not counted, brings code and tables into the caches. */
export async function warmSeconds(work: () => unknown): Promise<number> {
  await work();
  return ownSeconds(work);
}

/** CPU seconds of a shell command and all that it calls; undefined when it fails, as it does where it is not installed. */
export async function commandSeconds(command: string, cwd: string): Promise<number | undefined> {
  try {
    const timed = `TIMEFORMAT='%U %S'; time { ${command} ; } >/dev/null 2>&1 || exit 1`;
    const { stderr } = await call("bash", ["-c", timed], { cwd });
    const [user, system] = stderr.trim().split(/\s+/).slice(-2).map(Number);
    return user! + system!;
  } catch {
    return undefined;
  }
}

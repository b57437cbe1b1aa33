/** Processes that are measured: their start and end, and what /proc says of them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

/** What a process of Platen's says on its first line. Throws when it ends before. */
export async function ready(child: ChildProcess): Promise<{ readonly grpcAddress?: string }> {
  const { value, done } = await createInterface({ input: child.stdout! })[Symbol.asyncIterator]().next();
  if (done) throw new Error("a process of Platen's has ended before it was ready");
  child.stdout!.resume();
  return JSON.parse(value as string) as { grpcAddress?: string };
}

/** Ends it, if it has not ended. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.kill()) await once(child, "exit");
}

/**
 * Runs a command of Platen's that prints a job and tells of it with `--json`: milliseconds from its start to the first sheet (NaN without
 * one) and to its end. Throws when it fails.
 */
export async function followJob(command: readonly string[]): Promise<{ firstMs: number; endMs: number }> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit") as Promise<[number]>;
  let firstMs = Number.NaN;
  for await (const line of createInterface({ input: child.stdout })) {
    const { event } = JSON.parse(line) as { event?: { mediaSheetsCompleted?: number } };
    if (Number.isNaN(firstMs) && (event?.mediaSheetsCompleted ?? 0) > 0)
      firstMs = performance.now() - startedMs;
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`${command.join(" ")} has ended with ${code}`);
  return { firstMs, endMs: performance.now() - startedMs };
}

/** Clock ticks of /proc, a second: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

export interface Stat {
  readonly name: string;
  /** Of itself. */
  readonly cpuS: number;
  /** Of its children that have ended and been waited for, and theirs. */
  readonly endedCpuS: number;
}

/** What a `stat` of /proc says, of a process or a thread. */
export async function statOf(folder: string): Promise<Stat> {
  // "PID (NAME) STATE …": a name may hold anything but its end.
  const stat = await readFile(`${folder}/stat`, "utf8");
  const [open, close] = [stat.indexOf("("), stat.lastIndexOf(")")];
  const seconds = stat
    .slice(close + 2)
    .split(" ")
    .slice(11, 15)
    .map((ticks) => Number(ticks) / ticksPerSecond);
  const [user, system, endedUser, endedSystem] = seconds;
  return { name: stat.slice(open + 1, close), cpuS: user! + system!, endedCpuS: endedUser! + endedSystem! };
}

/** Processes that one has started and that run. */
export async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const lists = tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, "utf8").catch(() => ""));
  return (await Promise.all(lists))
    .flatMap((list) => list.trim().split(/\s+/))
    .filter(Boolean)
    .map(Number);
}

/** CPU seconds so far of a process and of all that it has started. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const { cpuS, endedCpuS } = await statOf(`/proc/${pid}`);
  // One that ends meanwhile is counted by its parent the next time.
  const children = (await childrenOf(pid)).map((child) => cpuSecondsOf(child).catch(() => 0));
  return (await Promise.all(children)).reduce((sum, seconds) => sum + seconds, cpuS + endedCpuS);
}

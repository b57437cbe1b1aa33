/** CPU time of processes and all that they have started, from /proc. */
import { readdir, readFile } from "node:fs/promises";

/** Clock ticks of /proc, a second: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

interface ProcessTimes {
  readonly parent: number;
  readonly ownTicks: number;
  /** Of its children that have ended and been waited for, and theirs. */
  readonly endedTicks: number;
}

async function timesOf(pid: number): Promise<ProcessTimes | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (stat === undefined) return undefined;
  // "PID (NAME) STATE PARENT …": a name may hold anything but its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [user, system, endedUser, endedSystem] = fields.slice(11, 15).map(Number);
  return { parent: Number(fields[1]), ownTicks: user! + system!, endedTicks: endedUser! + endedSystem! };
}

/** CPU seconds so far of what this process has started and has ended since. */
export const endedChildrenSeconds = async (): Promise<number> =>
  (await timesOf(process.pid))!.endedTicks / ticksPerSecond;

/** CPU seconds so far of these processes, what they have started, and what has ended among it. */
export async function cpuSecondsOf(...roots: number[]): Promise<number> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 0);
  const all = new Map<number, ProcessTimes>();
  for (const pid of pids) {
    const times = await timesOf(pid);
    if (times) all.set(pid, times);
  }
  const belongs = (pid: number): boolean => {
    if (roots.includes(pid)) return true;
    const parent = all.get(pid)?.parent;
    return parent !== undefined && parent > 0 && belongs(parent);
  };
  const ticks = [...all].reduce(
    (sum, [pid, one]) => sum + (belongs(pid) ? one.ownTicks + one.endedTicks : 0),
    0,
  );
  return ticks / ticksPerSecond;
}

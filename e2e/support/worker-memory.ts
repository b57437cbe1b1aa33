/** What the render workers of this process take of the machine's memory, seen from outside. */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const intervalMs = 100;

export interface WorkerMemory extends AsyncDisposable {
  /** The most that any one worker had in RAM so far, bytes. */
  readonly mostBytes: number;
  /** Workers that were seen. */
  readonly workers: number;
}

const kilobytes = (status: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0);

/** The most that each worker under this process has had in RAM, by process id. */
async function peaks(): Promise<[pid: string, bytes: number][]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const read = (pid: string, name: string) => readFile(`/proc/${pid}/${name}`, "latin1").catch(() => "");
  const found = await Promise.all(
    pids.map(async (pid): Promise<[string, number][]> => {
      const status = await read(pid, "status");
      if (!new RegExp(`^PPid:\\s+${process.pid}$`, "m").test(status)) return [];
      if (!(await read(pid, "cmdline")).includes("/render/worker/")) return [];
      return [[pid, kilobytes(status, "VmHWM") * 1024]];
    }),
  );
  return found.flat();
}

/** Looks at the workers, again and again, until it is disposed. */
export function watchWorkerMemory(): WorkerMemory {
  const stop = new AbortController();
  const most = new Map<string, number>();
  const watching = (async () => {
    while (!stop.signal.aborted) {
      for (const [pid, bytes] of await peaks()) most.set(pid, Math.max(bytes, most.get(pid) ?? 0));
      await delay(intervalMs, undefined, { signal: stop.signal }).catch(() => {});
    }
  })();
  return {
    get mostBytes() {
      return Math.max(0, ...most.values());
    },
    get workers() {
      return most.size;
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await watching;
    },
  };
}

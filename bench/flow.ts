/**
 * The whole flow, as its users meet it: the time of `platen demo` to its first page and to its end, and the memory that each
 * process comes to when every role runs in one of its own.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "..");
const platen = join(root, "backend", "src", "main.ts");
const printer = join(root, "firmware-node", "src", "main.ts");
const sample = join(root, "samples", "welcome.pdf");

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

/** One demo: milliseconds from its start as a process. */
async function demo(out: string): Promise<{ firstPageMs: number; endMs: number }> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, [platen, "demo", "--out", out, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit") as Promise<[number]>;
  let firstPageMs = Number.NaN;
  for await (const line of createInterface({ input: child.stdout })) {
    const { event } = JSON.parse(line) as { event?: { mediaSheetsCompleted?: number } };
    if (Number.isNaN(firstPageMs) && (event?.mediaSheetsCompleted ?? 0) > 0)
      firstPageMs = performance.now() - startedMs;
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`platen demo ended with ${code}`);
  return { firstPageMs, endMs: performance.now() - startedMs };
}

/** Most memory that a process has had resident, MiB. */
async function peakMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const lists = tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, "utf8").catch(() => ""));
  return (await Promise.all(lists))
    .flatMap((list) => list.trim().split(/\s+/))
    .filter(Boolean)
    .map(Number);
}

async function ready(child: ChildProcess): Promise<Record<string, string>> {
  const first = await createInterface({ input: child.stdout! })[Symbol.asyncIterator]().next();
  child.stdout!.resume();
  return JSON.parse(String(first.value)) as Record<string, string>;
}

async function memory(dir: string): Promise<[string, number][]> {
  const children: ChildProcess[] = [];
  const start = (args: string[]): ChildProcess => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    return child;
  };
  const serve = async (role: string): Promise<{ pid: number; address: string }> => {
    const config = join(dir, `${role}.json`);
    const settings = { roles: [role], dataDir: join(dir, "data"), tempDir: join(dir, "temp") };
    await writeFile(
      config,
      JSON.stringify({ ...settings, listen: "127.0.0.1:0", httpListen: "127.0.0.1:0", executors: 1 }),
    );
    const child = start([platen, "serve", "--config", config, "--json"]);
    return { pid: child.pid!, address: (await ready(child)).grpcAddress! };
  };
  try {
    const roles = ["result-store", "executor", "instructors", "controller", "intake"];
    const running = new Map<string, { pid: number; address: string }>();
    for (const role of roles) running.set(role, await serve(role));
    const device = start([
      printer,
      "--json",
      "--printer-id",
      "bench",
      "--backend",
      running.get("controller")!.address,
      "--sink",
      `png:${join(dir, "sheets")}`,
      "--state-dir",
      join(dir, "state"),
    ]);
    await ready(device);
    const server = running.get("intake")!.address;
    await promisify(execFile)(process.execPath, [
      platen,
      "submit",
      sample,
      "--printer",
      "bench",
      "--server",
      server,
      "--watch",
    ]);
    const rows: [string, number][] = [];
    for (const [role, { pid }] of running) {
      rows.push([role, await peakMiB(pid)]);
      const workers = await Promise.all((await childrenOf(pid)).map(peakMiB));
      workers.forEach((mib, index) => rows.push([`render worker ${index + 1}`, mib]));
    }
    rows.push(["printer", await peakMiB(device.pid!)]);
    return rows;
  } finally {
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(children.map((child) => child.exitCode ?? once(child, "exit")));
  }
}

export async function run(args: string[]): Promise<void> {
  const rounds = Number(args[0] ?? 3);
  const dir = await mkdtemp(join(tmpdir(), "platen-bench-"));
  try {
    const demos = [];
    for (let round = 0; round < rounds; round++) demos.push(await demo(join(dir, `out-${round}`)));
    console.log(`platen demo, ${rounds} runs, medians (4 sides of A4 at 600 dpi, colour):`);
    console.log(`  first sheet after ${seconds(median(demos.map((one) => one.firstPageMs)))}`);
    console.log(`  the end after     ${seconds(median(demos.map((one) => one.endMs)))}`);
    console.log("\nmost memory resident, every role a process, the same document:");
    for (const [name, mib] of await memory(dir))
      console.log(`  ${name.padEnd(18)} ${mib.toFixed(0).padStart(5)} MiB`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * The whole flow, as its users meet it: the time of `platen demo` to its first page and to its end, and the memory that each
 * process comes to when every role runs in one of its own.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { median } from "./support/clock.ts";
import { childrenOf, followJob, ready } from "./support/processes.ts";

const root = join(import.meta.dirname, "..");
const platen = join(root, "backend", "src", "main.ts");
const printer = join(root, "firmware-node", "src", "main.ts");
const sample = join(root, "samples", "welcome.pdf");

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

const demo = (out: string) => followJob([platen, "demo", "--out", out, "--json"]);

/** Most memory that a process has had resident, MiB. */
async function peakMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
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
    console.log(`  first sheet after ${seconds(median(demos.map((one) => one.firstMs)))}`);
    console.log(`  the end after     ${seconds(median(demos.map((one) => one.endMs)))}`);
    console.log("\nmost memory resident, every role a process, the same document:");
    for (const [name, mib] of await memory(dir))
      console.log(`  ${name.padEnd(18)} ${mib.toFixed(0).padStart(5)} MiB`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

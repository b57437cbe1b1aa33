/** A whole Platen: all roles in one process, its render workers, and the printer with the simulated engine. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { cpuSecondsOf } from "./processes.ts";
import type { Printed, PrintRequest, PrintSystem } from "./print-system.ts";

const root = join(import.meta.dirname, "..", "..");
const platen = join(root, "backend", "src", "main.ts");

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.kill()) await once(child, "exit");
}

/** What the process says when it is ready. */
async function ready(child: ChildProcess): Promise<{ grpcAddress?: string }> {
  const { value, done } = await createInterface({ input: child.stdout! })[Symbol.asyncIterator]().next();
  if (done) throw new Error("a process of Platen's has ended before it was ready");
  child.stdout!.resume();
  return JSON.parse(value as string) as { grpcAddress?: string };
}

class Platen implements PrintSystem {
  readonly label = "Platen";
  readonly #server: ChildProcess;
  readonly #printer: ChildProcess;
  readonly #address: string;

  constructor(server: ChildProcess, printer: ChildProcess, address: string) {
    this.#server = server;
    this.#printer = printer;
    this.#address = address;
  }

  async print({ file, pages }: PrintRequest): Promise<Printed> {
    const pids = [this.#server.pid!, this.#printer.pid!];
    const [cpuBefore, startedMs] = [await cpuSecondsOf(...pids), performance.now()];
    const settings = ["--printer=bench", `--server=${this.#address}`, "--watch", "--json"];
    const ticket = ["--media=a4", "--resolution=600", "--print-scaling=fit", `--page-ranges=1-${pages}`];
    const child = spawn(process.execPath, [platen, "submit", file, ...settings, ...ticket], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit") as Promise<[number]>;
    let firstS: number | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      const { event } = JSON.parse(line) as { event?: { mediaSheetsCompleted?: number } };
      if ((event?.mediaSheetsCompleted ?? 0) > 0) firstS ??= (performance.now() - startedMs) / 1000;
    }
    const [code] = await exited;
    if (code !== 0) throw new Error(`platen submit has ended with ${code}`);
    const wallS = (performance.now() - startedMs) / 1000;
    return { wallS, firstS: firstS ?? wallS, cpuS: (await cpuSecondsOf(...pids)) - cpuBefore };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#printer);
    await end(this.#server);
  }
}

/** `printer` is the `platen-printer` program. */
export async function startPlaten(folder: string, printer: string): Promise<PrintSystem> {
  const start = (...args: string[]): ChildProcess =>
    spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const config = join(folder, "platen.json");
  const address = "127.0.0.1:0";
  const folders = { dataDir: join(folder, "data"), tempDir: join(folder, "temp") };
  await writeFile(config, JSON.stringify({ ...folders, listen: address, httpListen: address }));
  const server = start(platen, "serve", "--config", config, "--json");
  const { grpcAddress } = await ready(server);
  const where = [`--backend=${grpcAddress}`, `--state-dir=${join(folder, "printer")}`];
  const device = start(printer, "--json", "--printer-id=bench", "--sink=sim:", ...where);
  await ready(device);
  return new Platen(server, device, grpcAddress!);
}

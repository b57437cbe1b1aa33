/** A whole Platen: all roles in one process, its render workers, and the printer with the simulated engine. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cpuSecondsOf, end, followJob, ready } from "../support/processes.ts";
import type { Printed, PrintRequest, PrintSystem } from "./print-system.ts";

const root = join(import.meta.dirname, "..", "..");
const platen = join(root, "backend", "src", "main.ts");

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
    const before = await this.#cpuSeconds();
    const settings = ["--printer=bench", `--server=${this.#address}`, "--watch", "--json"];
    const ticket = ["--media=a4", "--resolution=600", "--print-scaling=fit", `--page-ranges=1-${pages}`];
    const { firstMs, endMs } = await followJob([platen, "submit", file, ...settings, ...ticket]);
    return { wallS: endMs / 1000, firstS: firstMs / 1000, cpuS: (await this.#cpuSeconds()) - before };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#printer);
    await end(this.#server);
  }

  async #cpuSeconds(): Promise<number> {
    return (await cpuSecondsOf(this.#server.pid!)) + (await cpuSecondsOf(this.#printer.pid!));
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

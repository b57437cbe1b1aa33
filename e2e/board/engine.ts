/**
 * The print engine at the other end of the emulated board's cable. QEMU's USB adaptor connects to its socket whenever it is
 * plugged in; the engine itself stays on when the cable is pulled out, as engines do.
 */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { jobKeyOf } from "../../firmware-node/src/adapters/serial-engine.ts";
import type { Machine, Progress, StartMachine, TraySheet } from "./machines.ts";

export class SocketEngine implements AsyncDisposable {
  readonly path: string;
  readonly #server = createServer((cable) => this.#plug(cable));
  readonly #watchers = new Set<() => void>();
  readonly #machine: Machine;
  #cable: Socket | undefined;

  private constructor(path: string, machine: Machine) {
    this.path = path;
    this.#machine = machine;
  }

  static async listen(path: string, start: StartMachine): Promise<SocketEngine> {
    let engine: SocketEngine | undefined;
    const machine = await start((bytes) => {
      if (engine) engine.#transmit(bytes);
    });
    engine = new SocketEngine(path, machine);
    engine.#server.listen(path);
    await once(engine.#server, "listening");
    return engine;
  }

  #transmit(bytes: Uint8Array): void {
    this.#cable?.write(bytes);
    for (const watcher of this.#watchers) watcher();
  }

  #plug(cable: Socket): void {
    // The cable of a board whose power was cut may not have fallen out yet.
    this.#cable?.destroy();
    this.#cable = cable;
    // Whoever pulls a cable out sends no farewell.
    cable.on("error", () => {});
    cable.on("close", () => {
      if (this.#cable === cable) this.#cable = undefined;
    });
    cable.on("data", (bytes: Buffer) => {
      this.#machine.receive(bytes);
      for (const watcher of this.#watchers) watcher();
    });
  }

  /** Sheets of a job in the output tray, in the order in which they came. The engine knows jobs by their keys. */
  sheetsOf(jobId: string): readonly TraySheet[] {
    const key = jobKeyOf(jobId);
    return this.#machine.tray.filter(({ jobKey }) => jobKey === key);
  }

  get progress(): Progress {
    return this.#machine.progress;
  }

  /** Resolves as soon as so many rows of a sheet of the job can be printed. */
  async reached(jobId: string, sheetNumber: number, rows: number, signal: AbortSignal): Promise<void> {
    const there = Promise.withResolvers<void>();
    const jobKey = jobKeyOf(jobId);
    const watcher = () => {
      const now = this.progress;
      if (now.jobKey === jobKey && now.sheetNumber === sheetNumber && now.rows >= rows) there.resolve();
    };
    const abort = () => there.reject(signal.reason as Error);
    signal.throwIfAborted();
    this.#watchers.add(watcher);
    signal.addEventListener("abort", abort);
    try {
      watcher();
      await there.promise;
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener("abort", abort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machine[Symbol.asyncDispose]();
    this.#cable?.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}

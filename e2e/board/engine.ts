/**
 * The print engine at the other end of the emulated board's cable. QEMU's USB adaptor connects to its socket whenever it is
 * plugged in; the engine itself stays on when the cable is pulled out, as engines do.
 */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { EngineModel, type StackedSheet } from "@platen/hw";
import {
  type Mechanics,
  realClock,
  simulatedCapabilities,
  simulatedCapacityBytes,
  SimulatedEngine,
} from "@platen/hw/link";
import { ownVersions } from "@platen/hw/protocol";
import { jobKeyOf } from "../../firmware-node/src/adapters/serial-engine.ts";

/** Slow enough that a side has a middle: an A6 side at 300 dpi takes two seconds. */
export const mechanics: Mechanics = { warmUpMs: 100, feedMs: 100, ejectMs: 100, rowsPerSecond: 900 };

/** How far the sheet in the path is. */
export interface Progress {
  readonly jobKey: string;
  readonly sheetNumber: number;
  /** Rows that nothing can be added to any more. */
  readonly rows: number;
}

export class SocketEngine implements AsyncDisposable {
  readonly path: string;
  readonly model = new EngineModel({ keepSheets: true });
  readonly #server = createServer((cable) => this.#plug(cable));
  readonly #watchers = new Set<() => void>();
  readonly #engine: SimulatedEngine;
  #cable: Socket | undefined;

  private constructor(path: string) {
    this.path = path;
    const options = {
      ...ownVersions,
      bootId: 1,
      capabilities: simulatedCapabilities,
      mechanics,
      capacityBytes: simulatedCapacityBytes,
    };
    this.#engine = new SimulatedEngine(this.model, realClock, options, (bytes) => this.#cable?.write(bytes));
  }

  static async listen(path: string): Promise<SocketEngine> {
    const engine = new SocketEngine(path);
    engine.#server.listen(path);
    await once(engine.#server, "listening");
    return engine;
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
      this.#engine.receive(bytes);
      for (const watcher of this.#watchers) watcher();
    });
  }

  /** Sheets of a job in the output tray, in the order in which they came. The engine knows jobs by their keys. */
  sheetsOf(jobId: string): readonly StackedSheet[] {
    const key = jobKeyOf(jobId);
    return this.model.sheets.filter((sheet) => sheet.jobId === key);
  }

  get progress(): Progress {
    const { jobKey, sheet } = this.#engine.status;
    return { jobKey, sheetNumber: sheet, rows: this.#engine.stats.rowsFinal };
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
    this.#engine.powerOff();
    this.#cable?.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}

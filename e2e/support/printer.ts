/** Printers for the tests: the real controller firmware in this process, over a simulated engine that keeps its sheets. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type PrinterSettings,
  type RunningPrinter,
  SimulatedEngine,
  startPrinter,
} from "@platen/firmware-node";
import { EngineModel, type EngineModelOptions, type StackedSheet } from "@platen/hw";
import type { TestSystem } from "./system.ts";

export interface TestPrinter extends AsyncDisposable {
  readonly printerId: string;
  readonly engine: EngineModel;
  readonly running: RunningPrinter;
  /** Sheets of a job that lie in the output tray, in order. */
  sheetsOf(jobId: string): readonly StackedSheet[];
}

export interface TestPrinterOptions {
  printerId: string;
  mode: "push" | "poll";
  mono?: boolean;
  engine?: EngineModelOptions;
  settings?: Partial<PrinterSettings>;
}

export async function testPrinter(system: TestSystem, options: TestPrinterOptions): Promise<TestPrinter> {
  const { printerId, mode, mono = false } = options;
  const inks = mono ? (["black"] as const) : (["cyan", "magenta", "yellow", "black"] as const);
  const engine = new EngineModel({ inks, keepSheets: true, ...options.engine });
  const capabilities = {
    makeAndModel: "simulated",
    colorants: inks,
    resolutionsDpi: [300, 600, 1200],
    duplex: true,
  };
  const stateDir = await mkdtemp(join(tmpdir(), "platen-printer-"));
  const running = await startPrinter(
    {
      printerId,
      backend: system.controllerAddress,
      mode,
      mono,
      resolution: 300,
      stateDir,
      ...options.settings,
    },
    { driver: new SimulatedEngine(engine, capabilities) },
  );
  await running.registered;
  return {
    printerId,
    engine,
    running,
    sheetsOf: (jobId) => engine.sheets.filter((sheet) => sheet.jobId === jobId),
    [Symbol.asyncDispose]: async () => {
      await running[Symbol.asyncDispose]();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

/** Ink that runs down, from the tank to whoever lists the printers: levels, and what they mean for the printer's state. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { JobState, PrinterState, PrinterStateReason } from "@platen/proto";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ended, submit } from "./support/jobs.ts";
import { stamps } from "./support/pdf.ts";
import { testPrinter } from "./support/printer.ts";
import { embeddedSystem, type TestSystem } from "./support/system.ts";

const { MARKER_SUPPLY_EMPTY, MARKER_SUPPLY_LOW } = PrinterStateReason;

let system: TestSystem;
beforeAll(async () => {
  system = await embeddedSystem();
});
afterAll(() => system?.[Symbol.asyncDispose]());

async function registered(id: string) {
  const { printers } = await system.intake.listPrinters({});
  const { status } = printers.find(({ printerId }) => printerId === id)!;
  const levels = Object.fromEntries(
    status!.markerSupplies.map(({ colorant, levelPercent }) => [colorant, levelPercent]),
  );
  return { state: status!.state, reasons: status!.stateReasons, levels };
}

async function listed(id: string): Promise<{ row: string; json: object }> {
  const platen = fileURLToPath(new URL("../backend/src/main.ts", import.meta.url));
  const list = async (...args: string[]) => {
    const command = [platen, "printers", "--server", system.intakeAddress, ...args];
    const { stdout } = await promisify(execFile)(process.execPath, command);
    return stdout.split("\n");
  };
  const row = (await list()).find((line) => line.startsWith(id))!;
  const json = (await list("--json")).find((line) => line.includes(`"${id}"`))!;
  return { row, json: JSON.parse(json) as object };
}

test.each(["push", "poll"] as const)(
  "%s: ink that is low is told of and printing goes on, ink that has run out stops it, new ink ends both",
  async (mode) => {
    const printerId = `inks-${mode}`;
    // A stamp takes less than one percent of a tank.
    await using printer = await testPrinter(system, { printerId, mode, engine: { inkDots: 100_000_000 } });
    expect(await registered(printerId)).toMatchObject({ reasons: [], levels: { black: 100, cyan: 100 } });

    printer.engine.setInkPercent("black", 7);
    const low = await ended(system, await submit(system, printerId, stamps(1)));
    expect(low.job.state).toBe(JobState.COMPLETED);
    expect(await registered(printerId)).toEqual({
      state: PrinterState.IDLE,
      reasons: [MARKER_SUPPLY_LOW],
      levels: { cyan: 100, magenta: 100, yellow: 100, black: 7 },
    });
    const { row, json } = await listed(printerId);
    expect(row).toContain("idle (marker-supply-low)");
    expect(row).toContain("C 100 M 100 Y 100 K 7 %");
    expect(json).toMatchObject({
      status: {
        stateReasons: ["PRINTER_STATE_REASON_MARKER_SUPPLY_LOW"],
        markerSupplies: [{}, {}, {}, { colorant: "black", levelPercent: 7 }],
      },
    });

    printer.engine.setInkPercent("black", 0);
    const stopped = await submit(system, printerId, stamps(1));
    await vi.waitFor(
      async () =>
        expect(await registered(printerId)).toMatchObject({
          state: PrinterState.STOPPED,
          reasons: [MARKER_SUPPLY_EMPTY],
          levels: { black: 0 },
        }),
      { timeout: 30_000, interval: 50 },
    );
    printer.engine.remedy("marker-supply-empty");
    expect((await ended(system, stopped)).job.state).toBe(JobState.COMPLETED);
    expect(await registered(printerId)).toMatchObject({
      state: PrinterState.IDLE,
      reasons: [],
      levels: { black: 100 },
    });
  },
);

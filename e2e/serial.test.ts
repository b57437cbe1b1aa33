/**
 * S1410, S1411, S1414 over a serial line, from the submission to the job's end state: the whole backend, the controller as a
 * process, a port found by its USB device, and an engine behind it, simulated or in C on an emulated board.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { joinByFaultyLine, type Line, type Mechanics, processLine } from "@platen/hw/link";
import { encodeFrame, FrameReader, frameType } from "@platen/hw/protocol";
import { type Job, JobErrorAction, JobState, JobStateReason, PrinterStateReason } from "@platen/proto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { buildFirmware, emulatedBoard } from "../hw/engine-fw/test/build.ts";
import { EngineStand, type StandOptions } from "../hw/src/stand/stand.ts";
import { ended, submit } from "./support/jobs.ts";
import { stamps } from "./support/pdf.ts";
import { type Cable, type SerialPrinter, serialPrinter, usbCable } from "./support/serial-printer.ts";
import { embeddedSystem, type TestSystem } from "./support/system.ts";

const { COMPLETED, CANCELED, PROCESSING_STOPPED } = JobState;

let system: TestSystem;
beforeAll(async () => {
  system = await embeddedSystem();
});
afterAll(() => system?.[Symbol.asyncDispose]());

/** A stamp of 307 rows takes three seconds: whatever happens in a page happens in mid-page. */
const slow: Mechanics = { warmUpMs: 0, feedMs: 1, ejectMs: 1, rowsPerSecond: 100 };
const brisk: Mechanics = { ...slow, rowsPerSecond: 600 };

interface Desk extends AsyncDisposable {
  readonly cable: Cable;
  readonly stand: EngineStand;
  readonly printer: SerialPrinter;
  /** Numbers of the sheets in the output tray. */
  readonly sheets: readonly number[];
  /** Resolves when that sheet is in the path. */
  inMidPage(sheet: number): Promise<unknown>;
}

async function desk(printerId: string, mechanics: Mechanics, ...args: string[]): Promise<Desk> {
  return deskWith(printerId, { model: {}, mechanics }, ...args);
}

async function deskWith(printerId: string, options: StandOptions, ...args: string[]): Promise<Desk> {
  await using made = new AsyncDisposableStack();
  const cable = made.use(await usbCable());
  const stand = made.use(new EngineStand(cable, options));
  const printer = made.use(await serialPrinter(system, cable, printerId, ...args));
  const resources = made.move();
  return {
    cable,
    stand,
    printer,
    get sheets() {
      return stand.sheets.map(({ sheet }) => sheet.sheetNumber);
    },
    inMidPage: (sheet) =>
      vi.waitUntil(() => stand.engine?.status.sheet === sheet && stand.model.inPath.length > 0, {
        timeout: 60_000,
        interval: 5,
      }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

const sheetsTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);

const causes = [
  ["no ink", "marker-supply-empty", PrinterStateReason.MARKER_SUPPLY_EMPTY],
  ["no paper", "media-empty", PrinterStateReason.MEDIA_EMPTY],
  ["an engine fault", "engine-fault", PrinterStateReason.ENGINE_FAULT],
] as const;

describe("in mid-page over a serial line", () => {
  test.each(causes)("S1411, S1414: %s cancels a job whose policy is cancel-job", async (_, trouble) => {
    await using it = await desk(`cancel-${trouble}`, slow);
    const job = await submit(system, it.printer.printerId, stamps(2), {
      jobErrorAction: JobErrorAction.CANCEL_JOB,
    });
    const whole = ended(system, job);
    await it.inMidPage(1);
    it.stand.model.fail(trouble);
    expect((await whole).job).toMatchObject({
      state: CANCELED,
      stateReasons: [JobStateReason.CANCELED_BY_ENGINE_FAULT],
      errorCode: "engine-fault",
      mediaSheetsCompleted: 0,
    });
    expect(it.stand.model.counts).toEqual({ fed: 1, stacked: 0, wasted: 1 });
  });

  test.each(causes)("S1411: %s stops it, and it goes on when seen to", async (_, trouble, reason) => {
    await using it = await desk(`wait-${trouble}`, brisk);
    const job = await submit(system, it.printer.printerId, stamps(3));
    const whole = ended(system, job, async ({ state }) => {
      if (state !== PROCESSING_STOPPED || it.stand.model.troubles.length === 0) return;
      const { printers } = await system.intake.listPrinters({});
      const status = printers.find(({ printerId }) => printerId === it.printer.printerId)?.status;
      expect(status?.stateReasons).toContain(reason);
      it.stand.model.remedy();
    });
    await it.inMidPage(2);
    it.stand.model.fail(trouble);
    const { job: done, events } = await whole;
    expect(done).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 3 });
    expect(events.some(({ state }) => state === PROCESSING_STOPPED)).toBe(true);
    expect(it.sheets).toEqual(sheetsTo(3));
    expect(it.stand.model.counts).toMatchObject({ fed: 4, wasted: 1 });
  });

  test("S1411, S1414: the user's cancel throws the sheet out, and the next job prints", async () => {
    await using it = await desk("user", slow);
    const job = await submit(system, it.printer.printerId, stamps(2));
    const whole = ended(system, job);
    await it.inMidPage(1);
    await system.intake.cancelJob({ jobId: job.jobId });
    const { job: done } = await whole;
    expect(done).toMatchObject({ state: CANCELED, mediaSheetsCompleted: 0 });
    expect(done.stateReasons).toContain(JobStateReason.JOB_CANCELED_BY_USER);
    expect(it.stand.model.counts).toEqual({ fed: 1, stacked: 0, wasted: 1 });
    const next = await ended(system, await submit(system, it.printer.printerId, stamps(1)));
    expect(next.job.state).toBe(COMPLETED);
  });

  test("S1411, S1414: so does the cancel button of the engine", async () => {
    await using it = await desk("button", slow);
    const whole = ended(system, await submit(system, it.printer.printerId, stamps(2)));
    await it.inMidPage(1);
    it.stand.model.pressCancel();
    const { job } = await whole;
    expect(job.state).toBe(CANCELED);
    expect(job.stateReasons).toContain(JobStateReason.JOB_CANCELED_AT_DEVICE);
    expect(it.stand.model.counts).toEqual({ fed: 1, stacked: 0, wasted: 1 });
  });

  test("S1414: a cancel completes although the engine is gone", async () => {
    await using it = await desk("no-engine", slow);
    const job = await submit(system, it.printer.printerId, stamps(2));
    const whole = ended(system, job);
    await it.inMidPage(1);
    it.stand.powerOff();
    await system.intake.cancelJob({ jobId: job.jobId });
    const { job: done } = await whole;
    expect(done.state).toBe(CANCELED);
    expect(done.stateReasons).toContain(JobStateReason.JOB_CANCELED_BY_USER);
  });

  test("an engine that loses its power: the job goes on with that sheet, none comes twice", async () => {
    await using it = await desk("engine-restarts", slow);
    const whole = ended(system, await submit(system, it.printer.printerId, stamps(3)));
    await it.inMidPage(2);
    it.stand.powerOff();
    it.stand.model.throwOut();
    it.stand.powerOn();
    expect((await whole).job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 3 });
    expect(it.sheets).toEqual(sheetsTo(3));
  });

  test("ink that is low is told of where the engine cannot tell the level, and printing goes on", async () => {
    const model = { inkDots: 100_000_000, levelSensors: false };
    await using it = await deskWith("low", { model, mechanics: brisk });
    const { printerId } = it.printer;
    const reasons = async () => {
      const { printers } = await system.intake.listPrinters({});
      return printers.find((one) => one.printerId === printerId)!.status!.stateReasons;
    };
    it.stand.model.setInkPercent("black", 7);
    const job = await submit(system, printerId, stamps(2));
    const { job: done } = await ended(system, job);
    expect(done).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 2 });
    expect(await reasons()).toEqual([PrinterStateReason.MARKER_SUPPLY_LOW]);
    it.stand.model.setInkPercent("black", 100);
    await ended(system, await submit(system, printerId, stamps(1)));
    expect(await reasons()).toEqual([]);
  });

  test("a controller that loses its power: the job goes on with that sheet, none comes twice", async () => {
    await using it = await desk("controller-restarts", brisk);
    const whole = ended(system, await submit(system, it.printer.printerId, stamps(5)));
    await it.inMidPage(3);
    await it.printer.kill();
    await it.printer.start();
    expect((await whole).job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 5 });
    expect(it.sheets).toEqual(sheetsTo(5));
  });

  test("a controller and an engine that lose their power at once: no sheet comes twice", async () => {
    await using it = await desk("both-restart", slow);
    const whole = ended(system, await submit(system, it.printer.printerId, stamps(3)));
    await it.inMidPage(2);
    it.stand.powerOff();
    it.stand.model.throwOut();
    await it.printer.kill();
    it.stand.powerOn();
    await it.printer.start();
    expect((await whole).job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 3 });
    expect(it.sheets).toEqual(sheetsTo(3));
  });

  test("a cable that is pulled out, and put back as another port, is found by its USB device: no sheet is fed twice", async () => {
    await using it = await desk("replugged", slow);
    const whole = ended(system, await submit(system, it.printer.printerId, stamps(2)));
    await it.inMidPage(1);
    await it.cable.pull();
    await it.cable.plugIn();
    const { job, events } = await whole;
    expect(job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 2 });
    expect(events.some(({ state }) => state === PROCESSING_STOPPED)).toBe(false);
    expect(it.stand.model.counts).toEqual({ fed: 2, stacked: 2, wasted: 0 });
  });
});

describe("the C engine on an emulated board", () => {
  /** Waits for the job to stop for this reason, as its printer says. */
  const stopsFor = async (job: Job, reason: PrinterStateReason): Promise<void> => {
    await vi.waitFor(
      async () => {
        const { printers } = await system.intake.listPrinters({});
        const found = printers.find(({ printerId }) => printerId === job.printerId);
        expect(found?.status?.stateReasons).toContain(reason);
      },
      { timeout: 60_000, interval: 50 },
    );
  };

  test("prints, stops for an open cover and goes on, and its faults and its button cancel jobs", async () => {
    await using made = new AsyncDisposableStack();
    const build = made.use(await buildFirmware("lm3s6965.elf"));
    const cable = made.use(await usbCable());
    const board = made.use(await processLine("qemu-system-arm", emulatedBoard(build.path)));
    made.use(joinByFaultyLine(cable, board, 1, { faults: { bitErrorRate: 1e-6 } }));
    const { printerId } = made.use(await serialPrinter(system, cable, "c-engine"));
    const { printers } = await system.intake.listPrinters({});
    const found = printers.find((one) => one.printerId === printerId);
    expect(found?.capabilities?.makeAndModel).toBe("Platen reference engine");

    board.press("c");
    const waiting = await submit(system, printerId, stamps(3));
    const waited = ended(system, waiting);
    await stopsFor(waiting, PrinterStateReason.COVER_OPEN);
    board.press("C");
    expect((await waited).job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 3 });

    for (const [key, opposite] of ["pP", "iI", "hH"]) {
      board.press(key!);
      const policy = { jobErrorAction: JobErrorAction.CANCEL_JOB };
      const { job } = await ended(system, await submit(system, printerId, stamps(2), policy));
      expect(job).toMatchObject({ state: CANCELED, errorCode: "engine-fault", mediaSheetsCompleted: 0 });
      board.press(opposite!);
    }

    board.press("j");
    const jammed = await submit(system, printerId, stamps(2));
    const whole = ended(system, jammed);
    await stopsFor(jammed, PrinterStateReason.MEDIA_JAM);
    board.press("x");
    const { job } = await whole;
    expect(job.state).toBe(CANCELED);
    expect(job.stateReasons).toContain(JobStateReason.JOB_CANCELED_AT_DEVICE);
    board.press("J");
    const last = await ended(system, await submit(system, printerId, stamps(1)));
    expect(last.job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 1 });
  });
});

/** The engine's own name in WELCOME, as long, with escapes, markup, a path, a device name, and bytes that are no UTF-8. */
const hostile = Buffer.concat([
  Buffer.from("\u001B]0;x\u0007<b>/../CON\u202E"),
  Buffer.from([0xff, 0xc0, 0x9b, 0x0d]),
]);
const own = Buffer.from("Platen simulated engine").subarray(0, hostile.length);

/** Lets an engine call itself so. */
function lying(line: Line): Line {
  const reader = new FrameReader();
  return {
    ...line,
    write(bytes) {
      for (const frame of reader.push(bytes)) {
        const payload = Buffer.from(frame.payload);
        const at = frame.type === frameType.welcome ? payload.indexOf(own) : -1;
        if (at >= 0) payload.set(hostile, at);
        line.write(encodeFrame({ ...frame, payload }));
      }
    },
  };
}

test("what an engine calls itself can do nothing to whoever lists the printers", async () => {
  await using cable = await usbCable();
  using _stand = new EngineStand(lying(cable), { model: {}, mechanics: brisk });
  await using printer = await serialPrinter(system, cable, "liar");
  const platen = fileURLToPath(new URL("../backend/src/main.ts", import.meta.url));
  const list = (...args: string[]) =>
    promisify(execFile)(process.execPath, [platen, "printers", "--server", system.intakeAddress, ...args]);
  const { stdout: table } = await list();
  const { stdout: json } = await list("--json");
  const row = table.split("\n").find((line) => line.startsWith(printer.printerId));
  expect(row).toContain("<b>/../CON");
  for (const text of [row!, json.replaceAll("\n", "")]) expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  const { job } = await ended(system, await submit(system, printer.printerId, stamps(1)));
  expect(job.state).toBe(COMPLETED);
});

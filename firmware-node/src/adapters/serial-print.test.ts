/** S1410, S1411: whole prints over a serial line, from the print request to the job's end state. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineModel, type Trouble } from "@platen/hw";
import { attachEngine, type Line, type Mechanics, ptyLine } from "@platen/hw/link";
import {
  JobErrorAction,
  JobState,
  JobStateReason,
  PrinterStateReason,
  type PrintStatus,
} from "@platen/proto";
import { beforeAll, describe, expect, test } from "vitest";
import { dotsOfPage, dotsOfSheet } from "../testing/dots.ts";
import { makePage, type TestPage } from "../testing/pages.ts";
import { startRig, statusWhere, stopped } from "../testing/rig.ts";
import { openSerialEngine } from "./serial-engine.ts";
import { fileJournal } from "./serial-journal.ts";
import { type Packer, ThreadedPacker } from "./serial-packer.ts";
import { ReopeningPort } from "./serial-port.ts";

let pages: TestPage[];
beforeAll(async () => {
  pages = await Promise.all([1, 2, 3].map((seed) => makePage(seed)));
});

const baudRateBps = 3_000_000;
const quick: Mechanics = { warmUpMs: 0, feedMs: 1, ejectMs: 1, rowsPerSecond: 4000 };
/** Pages of 8 rows take two seconds and more: whatever happens, happens in mid-page. */
const slow: Mechanics = { ...quick, rowsPerSecond: 4 };

/** A printer whose engine is at the other end of a pseudo-terminal. */
async function startSerialRig(
  mechanics: Mechanics,
  faultTimeoutMs = 20_000,
  packer: Packer = new ThreadedPacker(),
) {
  await using made = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "platen-serial-print-"));
  made.defer(() => rm(folder, { recursive: true }));
  const path = join(folder, "port");
  const line: Line = made.use(await ptyLine(path));
  const model = new EngineModel({ keepSheets: true });
  const engine = made.use(attachEngine(line, model, { mechanics }));
  const driver = await openSerialEngine({
    port: new ReopeningPort({ address: { kind: "path", path }, baudRateBps, rtscts: false }),
    journal: fileJournal(join(folder, "journal.json")),
    baudRateBps,
    packer,
    openTimeoutMs: 15_000,
  });
  const rig = made.use(await startRig({ pages, driver, faultTimeoutMs }));
  const resources = made.move();
  return {
    engine,
    model,
    rig,
    /** Begins the print, and resolves when the first sheet is in the path. */
    async begin(
      action: JobErrorAction = JobErrorAction.SUSPEND_JOB,
    ): Promise<{ jobId: string; ended: Promise<PrintStatus> }> {
      const fed = Promise.withResolvers<void>();
      const poll = setInterval(() => model.counts.fed > 0 && fed.resolve(), 2);
      const ended = rig.print(rig.instruction({ jobErrorAction: action })).then((all) => all.at(-1)!);
      await fed.promise;
      clearInterval(poll);
      return { jobId: "job-1", ended };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

const troubles: [string, Trouble, PrinterStateReason][] = [
  ["no ink", "marker-supply-empty", PrinterStateReason.MARKER_SUPPLY_EMPTY],
  ["no paper", "media-empty", PrinterStateReason.MEDIA_EMPTY],
  ["an engine fault", "engine-fault", PrinterStateReason.ENGINE_FAULT],
];

describe.concurrent("a print over a serial line", () => {
  test("S1413: comes out dot for dot as the kernel makes it", async () => {
    await using serial = await startSerialRig(quick);
    const { ended } = await serial.begin();
    expect((await ended).state).toBe(JobState.COMPLETED);
    expect(serial.model.sheets.map(dotsOfSheet)).toEqual(pages.map((page) => [dotsOfPage(page)]));
  });

  test.each(troubles)(
    "S1411, S1414: %s in mid-page cancels it, if the job says so",
    async (_, trouble, reason) => {
      await using serial = await startSerialRig(slow);
      const { ended } = await serial.begin(JobErrorAction.CANCEL_JOB);
      serial.model.fail(trouble);
      expect(await ended).toMatchObject({
        state: JobState.CANCELED,
        stateReasons: [JobStateReason.CANCELED_BY_ENGINE_FAULT],
        printerStateReasons: [reason],
        errorCode: "engine-fault",
      });
      expect(serial.model.counts).toMatchObject({ fed: 1, stacked: 0, wasted: 1 });
    },
  );

  test.each(troubles)(
    "S1411: %s in mid-page suspends it until somebody has seen to it",
    async (_, trouble, reason) => {
      await using serial = await startSerialRig({ ...quick, rowsPerSecond: 40 });
      const { jobId, ended } = await serial.begin();
      serial.model.fail(trouble);
      const status = await statusWhere(serial.rig.printer, jobId, stopped);
      expect(status.printerStateReasons).toEqual([reason]);
      serial.model.remedy();
      expect((await ended).state).toBe(JobState.COMPLETED);
      expect(serial.model.sheets.map(dotsOfSheet)).toEqual(pages.map((page) => [dotsOfPage(page)]));
    },
  );

  test("S1411, S1414: the user's cancel in mid-page throws the sheet out", async () => {
    await using serial = await startSerialRig(slow);
    const { jobId, ended } = await serial.begin();
    serial.rig.printer.cancel(jobId);
    expect(await ended).toMatchObject({
      state: JobState.CANCELED,
      stateReasons: [JobStateReason.JOB_CANCELED_BY_USER],
    });
    expect(serial.model.counts).toMatchObject({ fed: 1, stacked: 0, wasted: 1 });
  });

  test("S1411, S1414: so does cancel at the engine", async () => {
    await using serial = await startSerialRig(slow);
    const { ended } = await serial.begin();
    serial.model.pressCancel();
    expect(await ended).toMatchObject({
      state: JobState.CANCELED,
      stateReasons: [JobStateReason.JOB_CANCELED_AT_DEVICE],
    });
    expect(serial.model.counts).toMatchObject({ fed: 1, stacked: 0, wasted: 1 });
  });

  test("S1415: a packing thread that dies in mid-page ends the print with the reason, and the next one prints", async () => {
    const fragile = new ThreadedPacker(new URL("../testing/fragile-packer.ts", import.meta.url));
    let strips = 0;
    const packer: Packer = {
      pack: (strip, ...rest) => fragile.pack(++strips === 2 ? { ...strip, yPx: 13 } : strip, ...rest),
      [Symbol.asyncDispose]: () => fragile[Symbol.asyncDispose](),
    };
    await using serial = await startSerialRig(quick, undefined, packer);
    const { ended } = await serial.begin();
    expect(await ended).toMatchObject({
      state: JobState.ABORTED,
      errorCode: "internal",
      message: "the packing thread has crashed: it ended with 3",
    });
    serial.model.sheets.splice(0);
    const next = await serial.rig.print(serial.rig.instruction({ jobId: "job-2" }));
    expect(next.at(-1)?.state).toBe(JobState.COMPLETED);
    expect(serial.model.sheets.map(dotsOfSheet)).toEqual(pages.map((page) => [dotsOfPage(page)]));
  });

  test("S1414: the user's cancel completes although the engine is gone", async () => {
    await using serial = await startSerialRig(slow);
    const { jobId, ended } = await serial.begin();
    serial.engine[Symbol.dispose]();
    serial.rig.printer.cancel(jobId);
    expect((await ended).stateReasons).toEqual([JobStateReason.JOB_CANCELED_BY_USER]);
  });

  test("S1414: an engine that stays away is engine-offline, and cancels the job in the end", async ({
    expect,
  }) => {
    await using serial = await startSerialRig(slow, 200);
    const { ended } = await serial.begin();
    serial.engine[Symbol.dispose]();
    expect(await ended).toMatchObject({
      state: JobState.CANCELED,
      printerStateReasons: [PrinterStateReason.ENGINE_OFFLINE],
    });
  });
});

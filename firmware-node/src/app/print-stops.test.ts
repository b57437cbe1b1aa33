/** Prints that do not go straight through: S1411 and S1414, by the engine or by a cancel. */
import type { Trouble } from "@platen/hw";
import { JobErrorAction, JobState, JobStateReason, PrinterStateReason, Sides } from "@platen/proto";
import { beforeAll, describe, expect, test } from "vitest";
import { dotsOfPage, dotsOfSheet } from "../testing/dots.ts";
import { makePage, type TestPage } from "../testing/pages.ts";
import { gate, last, startRig, statusWhere, stopped } from "../testing/rig.ts";

let pages: TestPage[];
beforeAll(async () => {
  pages = await Promise.all([1, 2, 3].map((seed) => makePage(seed)));
});

describe("S1411: the engine stops", () => {
  const reasons: [Trouble, PrinterStateReason][] = [
    ["media-empty", PrinterStateReason.MEDIA_EMPTY],
    ["marker-supply-empty", PrinterStateReason.MARKER_SUPPLY_EMPTY],
    ["media-jam", PrinterStateReason.MEDIA_JAM],
    ["cover-open", PrinterStateReason.COVER_OPEN],
    ["engine-fault", PrinterStateReason.ENGINE_FAULT],
    ["output-area-full", PrinterStateReason.OUTPUT_AREA_FULL],
  ];
  /** An engine on which this goes wrong with the second sheet. */
  const engineWith = (trouble: Trouble) => {
    if (trouble === "media-empty") return { paperSheets: 1 };
    if (trouble === "output-area-full") return { outputSheets: 1 };
    return trouble === "marker-supply-empty" ? { inkDots: 600 } : {};
  };
  const rigWith = async (trouble: Trouble, more: object = {}) => {
    const rig = await startRig({ pages: pages.slice(0, 2), engine: engineWith(trouble), ...more });
    if (trouble === "media-jam" || trouble === "cover-open" || trouble === "engine-fault") {
      rig.model.failAtSheet(trouble, 2);
    }
    return rig;
  };

  test.each(reasons)(
    "%s: stops, goes on when somebody has seen to it, and prints each sheet once",
    async (trouble, reason) => {
      await using rig = await rigWith(trouble);
      const printed = rig.print();
      const status = await statusWhere(rig.printer, "job-1", stopped);
      expect(status).toMatchObject({
        stateReasons: [JobStateReason.PRINTER_STOPPED],
        printerStateReasons: [reason],
        mediaSheetsCompleted: 1,
      });
      expect(status.message).not.toBe("");
      rig.model.remedy();
      expect(last(await printed)).toMatchObject({
        state: JobState.COMPLETED,
        mediaSheetsCompleted: 2,
        printerStateReasons: [],
      });
      expect(rig.model.sheets.map(dotsOfSheet)).toEqual(pages.slice(0, 2).map((page) => [dotsOfPage(page)]));
    },
  );

  test.each(reasons)(
    "%s: cancels after the fault time-out, with the reason (S1414)",
    async (trouble, reason) => {
      await using rig = await rigWith(trouble, { faultTimeoutMs: 30 });
      expect(last(await rig.print())).toMatchObject({
        state: JobState.CANCELED,
        stateReasons: [JobStateReason.CANCELED_BY_ENGINE_FAULT],
        printerStateReasons: [reason],
        errorCode: "engine-fault",
        mediaSheetsCompleted: 1,
      });
      expect(rig.model.counts.stacked).toBe(1);
    },
  );

  test.each(reasons)(
    "%s: cancels at once where job-error-action says so (S1414)",
    async (trouble, reason) => {
      await using rig = await rigWith(trouble);
      const instruction = rig.instruction({ jobErrorAction: JobErrorAction.CANCEL_JOB });
      expect(last(await rig.print(instruction))).toMatchObject({
        state: JobState.CANCELED,
        stateReasons: [JobStateReason.CANCELED_BY_ENGINE_FAULT],
        printerStateReasons: [reason],
        mediaSheetsCompleted: 1,
      });
      rig.model.remedy();
      const next = await rig.print(instruction);
      expect(last(next).state, "a repeat of an ended job is not printed again").toBe(JobState.CANCELED);
    },
  );

  test("twice on the way, in the middle of a back side: every sheet comes once, whole", async () => {
    await using rig = await startRig({ pages, ticket: { copies: 2, sides: Sides.TWO_SIDED_SHORT_EDGE } });
    const undisturbed = await startRig({ pages, ticket: { copies: 2, sides: Sides.TWO_SIDED_SHORT_EDGE } });
    await undisturbed.print();
    const oneSheet = 2400;
    rig.model.failAfterDots("media-jam", oneSheet);
    rig.model.failAfterDots("cover-open", oneSheet * 2);
    const printed = rig.print();
    for (const trouble of ["media-jam", "cover-open"] as const) {
      await statusWhere(
        rig.printer,
        "job-1",
        (status) => stopped(status) && rig.model.troubles.includes(trouble),
      );
      rig.model.remedy();
    }
    expect(last(await printed)).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 4 });
    expect(rig.model.counts.wasted).toBe(2);
    expect(rig.model.sheets).toEqual(undisturbed.model.sheets);
    await undisturbed[Symbol.asyncDispose]();
  });

  test("a second trouble while the first one waits is told, and both must be seen to", async () => {
    await using rig = await rigWith("media-jam");
    const printed = rig.print();
    await statusWhere(rig.printer, "job-1", stopped);
    rig.model.fail("cover-open");
    await statusWhere(rig.printer, "job-1", ({ printerStateReasons }) => printerStateReasons.length === 2);
    rig.model.remedy("media-jam");
    await statusWhere(rig.printer, "job-1", ({ printerStateReasons }) => printerStateReasons.length === 1);
    rig.model.remedy("cover-open");
    expect(last(await printed).state).toBe(JobState.COMPLETED);
  });

  test("before the job begins: it waits, and prints all when the engine is ready", async () => {
    await using rig = await startRig({ pages });
    rig.model.fail("cover-open");
    const printed = rig.print();
    await statusWhere(rig.printer, "job-1", stopped);
    rig.model.remedy();
    expect(last(await printed)).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 3 });
  });

  test("a canceled job leaves a stopped engine to the next one, which waits for it too", async () => {
    await using rig = await rigWith("media-jam");
    const first = await rig.print(rig.instruction({ jobErrorAction: JobErrorAction.CANCEL_JOB }));
    expect(last(first).state).toBe(JobState.CANCELED);
    const next = rig.print(rig.instruction({ jobId: "job-2" }));
    await statusWhere(rig.printer, "job-2", stopped);
    rig.model.remedy();
    expect(last(await next)).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 2 });
  });
});

describe("cancel", () => {
  test("S1411, the user's: at once, in the middle of a page that is held, and the engine is ready for more (S1414)", async () => {
    const asked = gate();
    const intercept = ({ url }: { url?: string | undefined }) => {
      if (url !== "/pages/2") return false;
      asked.resolve();
      return new Promise<boolean>(() => {});
    };
    await using rig = await startRig({ pages, intercept });
    const printed = rig.print();
    await asked.promise;
    await statusWhere(rig.printer, "job-1", ({ mediaSheetsCompleted }) => mediaSheetsCompleted === 1);
    rig.printer.cancel("job-1");
    expect(last(await printed)).toMatchObject({
      state: JobState.CANCELED,
      stateReasons: [JobStateReason.JOB_CANCELED_BY_USER],
      mediaSheetsCompleted: 1,
    });
    expect(rig.model.troubles).toEqual([]);
  });

  test("the user's, while the metafile is held", async () => {
    const asked = gate();
    const intercept = () => {
      asked.resolve();
      return new Promise<boolean>(() => {});
    };
    await using rig = await startRig({ pages, intercept });
    const printed = rig.print();
    await asked.promise;
    rig.printer.cancel("job-1");
    expect(last(await printed).stateReasons).toEqual([JobStateReason.JOB_CANCELED_BY_USER]);
  });

  test("the user's, while the engine stands still", async () => {
    await using rig = await startRig({ pages, engine: { paperSheets: 1 } });
    const printed = rig.print();
    await statusWhere(rig.printer, "job-1", stopped);
    rig.printer.cancel("job-1");
    expect(last(await printed).stateReasons).toEqual([JobStateReason.JOB_CANCELED_BY_USER]);
  });

  test("S1411, at the engine: in the middle of a sheet, which is thrown out", async () => {
    await using rig = await startRig({ pages });
    rig.model.failAtSheet("cancel-pressed", 2);
    expect(last(await rig.print())).toMatchObject({
      state: JobState.CANCELED,
      stateReasons: [JobStateReason.JOB_CANCELED_AT_DEVICE],
      mediaSheetsCompleted: 1,
    });
    expect(rig.model.counts).toEqual({ fed: 2, stacked: 1, wasted: 1 });
  });
});

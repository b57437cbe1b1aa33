import { setImmediate as turn } from "node:timers/promises";
import type { EngineModel, Trouble } from "@platen/hw";
import {
  JobErrorAction,
  JobState,
  JobStateReason,
  PrintColorMode,
  PrinterStateReason,
  PrintQuality,
  type PrintStatus,
  SheetCollate,
  Sides,
} from "@platen/proto";
import { beforeAll, describe, expect, test } from "vitest";
import type { EngineDriver, PageStart } from "../ports/engine-driver.ts";
import { dotsOfPage, dotsOfSheet } from "../testing/dots.ts";
import { makePage, type TestPage } from "../testing/pages.ts";
import { startRig, statusWhere, stopped } from "../testing/rig.ts";

let pages: TestPage[];
beforeAll(async () => {
  pages = await Promise.all([1, 2, 3].map((seed) => makePage(seed)));
});

const last = (statuses: readonly PrintStatus[]): PrintStatus => statuses.at(-1)!;

/** A promise that the test settles. */
const gate = () => Promise.withResolvers<void>();

/** Fronts of the stacked sheets as numbers of the pages they show. */
const frontsOf = (model: EngineModel): number[] =>
  model.sheets.map((sheet) => {
    const [front] = dotsOfSheet(sheet);
    return pages.findIndex((page) => JSON.stringify(dotsOfPage(page)) === JSON.stringify(front)) + 1;
  });

describe("a print", () => {
  test("S1404 to S1413: every page comes out, dot for dot as the kernel makes it, and the last status says so", async () => {
    await using rig = await startRig({ pages });
    const statuses = await rig.print();
    expect(last(statuses)).toMatchObject({
      state: JobState.COMPLETED,
      stateReasons: [JobStateReason.JOB_COMPLETED_SUCCESSFULLY],
      impressionsCompleted: 3,
      mediaSheetsCompleted: 3,
      errorCode: "",
      outputLocation: "",
    });
    expect(rig.model.sheets.map(dotsOfSheet)).toEqual(pages.map((page) => [dotsOfPage(page)]));
    expect(rig.model.counts).toEqual({ fed: 3, stacked: 3, wasted: 0 });
  });

  test("statuses carry a growing sequence and end states come once, last", async () => {
    await using rig = await startRig({ pages });
    const statuses = await rig.print();
    const sequences = statuses.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => Number(a - b)));
    expect(statuses.filter(({ state }) => state >= JobState.CANCELED)).toEqual([last(statuses)]);
    expect(statuses[0]!.state, "an idle printer begins at once").toBe(JobState.PROCESSING);
    expect(statuses.map(({ mediaSheetsCompleted }) => mediaSheetsCompleted)).toEqual(
      expect.arrayContaining([0, 1, 2, 3]),
    );
  });

  test("S1408: a printer with black alone, or a job in monochrome, lays black alone", async () => {
    const black = pages.map((page) => dotsOfPage(page, "k"));
    await using mono = await startRig({ pages, engine: { inks: ["black"] } });
    await mono.print();
    expect(mono.model.sheets.map(dotsOfSheet)).toEqual(black.map((dots) => [dots]));

    await using color = await startRig({
      pages: pages.slice(0, 1),
      ticket: { printColorMode: PrintColorMode.MONOCHROME },
    });
    await color.print();
    expect(dotsOfSheet(color.model.sheets[0]!)[0]).toMatchObject(black[0]!);
    expect(dotsOfSheet(color.model.sheets[0]!)[0]!.cyan).toMatch(/^0+$/);
  });

  test("print-quality chooses the halftone", async () => {
    await using rig = await startRig({
      pages: pages.slice(0, 1),
      ticket: { printQuality: PrintQuality.DRAFT },
    });
    await rig.print();
    expect(dotsOfSheet(rig.model.sheets[0]!)).toEqual([dotsOfPage(pages[0]!, "cmyk", "ordered")]);
  });

  test("the next page is fetched while this one is at the engine", async () => {
    const asked = gate();
    // Page 1 does not come to its end before page 2 is asked for.
    const overrides = (driver: EngineDriver) => ({
      endPage: (signal: AbortSignal) => asked.promise.then(() => driver.endPage(signal)),
    });
    const intercept = ({ url }: { url?: string | undefined }) => {
      if (url === "/pages/2") asked.resolve();
      return false;
    };
    await using rig = await startRig({ pages: pages.slice(0, 2), overrides, intercept });
    expect(last(await rig.print()).state).toBe(JobState.COMPLETED);
  });

  test("a page that is not converted yet is waited for, and no paper is taken before it comes", async () => {
    const converted = gate();
    const asked = gate();
    const intercept = async ({ url }: { url?: string | undefined }) => {
      if (url === "/pages/2") {
        asked.resolve();
        await converted.promise;
      }
      return false;
    };
    await using rig = await startRig({ pages: pages.slice(0, 2), intercept });
    const printed = rig.print();
    await asked.promise;
    await statusWhere(rig.printer, "job-1", ({ mediaSheetsCompleted }) => mediaSheetsCompleted === 1);
    await turn();
    expect(rig.model.counts.fed).toBe(1);
    converted.resolve();
    expect(last(await printed)).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 2 });
  });
});

describe("copies and sides", () => {
  const sheets = async (ticket: object, count = 3) => {
    await using rig = await startRig({ pages: pages.slice(0, count), ticket });
    const end = last(await rig.print());
    expect(end.state).toBe(JobState.COMPLETED);
    expect(rig.model.sheets.map(({ sheetNumber }) => sheetNumber)).toEqual(
      rig.model.sheets.map((_, i) => i + 1),
    );
    return { rig, end };
  };

  test("collated copies come as whole sets, each page fetched again", async () => {
    const { rig, end } = await sheets({ copies: 2 });
    expect(frontsOf(rig.model)).toEqual([1, 2, 3, 1, 2, 3]);
    expect(end).toMatchObject({ impressionsCompleted: 6, mediaSheetsCompleted: 6 });
    expect(rig.server.requests.filter((path) => path === "/pages/1")).toHaveLength(2);
  });

  test("uncollated copies come sheet by sheet", async () => {
    const { rig } = await sheets({ copies: 2, sheetCollate: SheetCollate.UNCOLLATED });
    expect(frontsOf(rig.model)).toEqual([1, 1, 2, 2, 3, 3]);
  });

  test("two sides make one sheet, and each copy of an odd number of pages begins on a new one", async () => {
    const { rig, end } = await sheets({ copies: 2, sides: Sides.TWO_SIDED_LONG_EDGE });
    const dots = pages.map((page) => dotsOfPage(page));
    const set = [[dots[0], dots[1]], [dots[2]]];
    expect(rig.model.sheets.map(dotsOfSheet)).toEqual([...set, ...set]);
    expect(rig.model.sheets[0]!.sides.map(({ side }) => side)).toEqual(["front", "back"]);
    expect(end).toMatchObject({ impressionsCompleted: 6, mediaSheetsCompleted: 4 });
  });
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

describe("a print that was begun before", () => {
  test("goes on after the sheets that the instruction says are stacked", async () => {
    await using rig = await startRig({ pages, ticket: { copies: 2 } });
    const statuses = await rig.print(rig.instruction({ mediaSheetsCompleted: 4 }));
    expect(last(statuses)).toMatchObject({
      state: JobState.COMPLETED,
      mediaSheetsCompleted: 6,
      impressionsCompleted: 6,
    });
    expect(Math.min(...statuses.map(({ mediaSheetsCompleted }) => mediaSheetsCompleted))).toBe(4);
    expect(frontsOf(rig.model)).toEqual([2, 3]);
  });

  test("goes on after the sheets that the engine remembers, if it knows of more", async () => {
    await using rig = await startRig({ pages });
    rig.model.startSide({
      jobId: "job-1",
      sheetNumber: 2,
      side: "front",
      lastOfSheet: true,
      widthPx: 8,
      heightPx: 1,
    });
    rig.model.endSide();
    const statuses = await rig.print(rig.instruction({ mediaSheetsCompleted: 1 }));
    expect(last(statuses)).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 3 });
    expect(frontsOf(rig.model).slice(1)).toEqual([3]);
  });

  test("is complete when all of it is stacked", async () => {
    await using rig = await startRig({ pages });
    expect(last(await rig.print(rig.instruction({ mediaSheetsCompleted: 3 }))).state).toBe(
      JobState.COMPLETED,
    );
    expect(rig.model.counts.fed).toBe(0);
  });
});

describe("a driver that fails", () => {
  test("with what nobody foresaw: the job is aborted, and the next one prints", async () => {
    let failures = 1;
    const overrides = (driver: EngineDriver): Partial<EngineDriver> => ({
      writeBand: async (band, signal) => {
        if (failures-- > 0) throw new Error("the disk is full");
        await driver.writeBand(band, signal);
      },
    });
    await using rig = await startRig({ pages, overrides });
    expect(last(await rig.print())).toMatchObject({
      state: JobState.ABORTED,
      stateReasons: [JobStateReason.ABORTED_BY_SYSTEM],
      errorCode: "internal",
      message: "the disk is full",
    });
    expect(rig.model.counts.wasted).toBe(1);
    expect(last(await rig.print(rig.instruction({ jobId: "job-2" }))).state).toBe(JobState.COMPLETED);
  });
});

test("a halftone thread that goes in mid-page: the job is aborted, its sheet thrown out, and the next one prints", async () => {
  const begun = gate();
  const lost = gate();
  const overrides = (driver: EngineDriver) => ({
    startPage: async (page: PageStart, signal: AbortSignal) => {
      await driver.startPage(page, signal);
      begun.resolve();
      await lost.promise;
    },
  });
  await using rig = await startRig({ pages, overrides });
  const printed = rig.print();
  await begun.promise;
  await rig.dotMaker[Symbol.asyncDispose]();
  lost.resolve();
  expect(last(await printed)).toMatchObject({
    state: JobState.ABORTED,
    errorCode: "internal",
    message: expect.stringMatching(/^the halftone thread/),
  });
  expect(rig.model.counts).toEqual({ fed: 1, stacked: 0, wasted: 1 });
  expect(last(await rig.print(rig.instruction({ jobId: "job-2" }))).state).toBe(JobState.COMPLETED);
  expect(rig.model.sheets.map(dotsOfSheet)).toEqual(pages.map((page) => [dotsOfPage(page)]));
});

test("switching the printer off gives the print up without an end: the last status says that it goes on later", async () => {
  const asked = gate();
  const intercept = ({ url }: { url?: string | undefined }) => {
    if (url !== "/pages/2") return false;
    asked.resolve();
    return new Promise<boolean>(() => {});
  };
  await using rig = await startRig({ pages, intercept });
  rig.printer.submit(rig.instruction());
  const statuses: PrintStatus[] = [];
  const watched = (async () => {
    for await (const status of rig.printer.watch("job-1", new AbortController().signal))
      statuses.push(status);
  })();
  await asked.promise;
  await rig.printer[Symbol.asyncDispose]();
  await expect(watched).rejects.toMatchObject({ code: "unavailable" });
  expect(last(statuses)).toMatchObject({
    state: JobState.PROCESSING_STOPPED,
    stateReasons: [JobStateReason.PRINTER_STOPPED],
    mediaSheetsCompleted: 1,
  });
  expect(() => rig.printer.submit(rig.instruction({ jobId: "job-2" }))).toThrow("switched off");
});

import { setImmediate as turn } from "node:timers/promises";
import type { EngineModel } from "@platen/hw";
import {
  JobState,
  JobStateReason,
  PrintColorMode,
  PrintQuality,
  type PrintStatus,
  SheetCollate,
  Sides,
} from "@platen/proto";
import { beforeAll, describe, expect, test } from "vitest";
import type { EngineDriver, PageStart } from "../ports/engine-driver.ts";
import { dotsOfPage, dotsOfSheet } from "../testing/dots.ts";
import { makePage, type TestPage } from "../testing/pages.ts";
import { gate, last, startRig, statusWhere } from "../testing/rig.ts";

let pages: TestPage[];
beforeAll(async () => {
  pages = await Promise.all([1, 2, 3].map((seed) => makePage(seed)));
});

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
  const [asked, stacked] = [gate(), gate()];
  const intercept = ({ url }: { url?: string | undefined }) => {
    if (url !== "/pages/2") return false;
    asked.resolve();
    return new Promise<boolean>(() => {});
  };
  await using rig = await startRig({ pages, intercept });
  rig.printer.submit(rig.instruction());
  const statuses: PrintStatus[] = [];
  const watched = (async () => {
    for await (const status of rig.printer.watch("job-1", new AbortController().signal)) {
      statuses.push(status);
      if (status.mediaSheetsCompleted === 1) stacked.resolve();
    }
  })();
  await Promise.all([asked.promise, stacked.promise]);
  await rig.printer[Symbol.asyncDispose]();
  await expect(watched).rejects.toMatchObject({ code: "unavailable" });
  expect(last(statuses)).toMatchObject({
    state: JobState.PROCESSING_STOPPED,
    stateReasons: [JobStateReason.PRINTER_STOPPED],
    mediaSheetsCompleted: 1,
  });
  expect(() => rig.printer.submit(rig.instruction({ jobId: "job-2" }))).toThrow("switched off");
});

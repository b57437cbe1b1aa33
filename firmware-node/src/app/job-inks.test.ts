import { readFileSync } from "node:fs";
import { JobState, PrintColorMode, PrintContentOptimize } from "@platen/proto";
import { beforeAll, describe, expect, test } from "vitest";
import { type InkOptions, makeInkTable } from "../color/ink-tables.ts";
import { type Dots, dotsOfPage, dotsOfSheet } from "../testing/dots.ts";
import { makePage, type TestPage } from "../testing/pages.ts";
import { matrixProfile, renamed } from "../testing/profiles.ts";
import { last, type Rig, type RigOptions, startRig } from "../testing/rig.ts";
import { readMetafile } from "./metafile.ts";

const profile = new Uint8Array(readFileSync(new URL("../../profiles/FOGRA39L.icc", import.meta.url)));
const linear = matrixProfile({ gamma: 1 });

let page: TestPage;
beforeAll(async () => {
  page = await makePage(1);
});

const startWith = (options: Omit<RigOptions, "pages">): Promise<Rig> =>
  startRig({ pages: [page], inks: { profile }, ...options });
const printed = async (options: Omit<RigOptions, "pages">): Promise<Dots> => {
  await using rig = await startWith(options);
  expect(last(await rig.print())).toMatchObject({ state: JobState.COMPLETED });
  return dotsOfSheet(rig.model.sheets[0]!)[0]!;
};
const expected = async (options: InkOptions, inks: "k" | "cmyk" = "cmyk"): Promise<Dots> =>
  dotsOfPage(page, inks, "shiau-fan", await makeInkTable({ profile, ...options }));

describe("print-content-optimize", () => {
  test("photo makes greys, in grey bands too, of all inks; all else makes them of black alone", async () => {
    const [photo, text] = [await expected({ neutrals: "cube" }), await expected({ neutrals: "black" })];
    expect(photo).not.toEqual(text);
    expect(await printed({ ticket: { printContentOptimize: PrintContentOptimize.PHOTO } })).toEqual(photo);
    expect(await printed({ ticket: { printContentOptimize: PrintContentOptimize.AUTO } })).toEqual(text);
  });

  test.each(Object.entries(PrintContentOptimize))(
    "%s: only photo wants the cube",
    (name, printContentOptimize) => {
      const session = { jobId: "job-1", printerId: "printer-1" };
      const metafile = {
        session,
        ticket: { printContentOptimize },
        mediaWidthUm: 210_000,
        mediaHeightUm: 297_000,
        resolutionDpi: 300,
        pages: [{ pageNumber: 1, url: "http://127.0.0.1/1", widthPx: 10, heightPx: 10 }],
      };
      const plan = readMetafile(Buffer.from(JSON.stringify(metafile)), session);
      expect(plan.inks.neutrals).toBe(name === "PHOTO" ? "cube" : "black");
    },
  );

  test("photo in monochrome is of black alone", async () => {
    const ticket = {
      printContentOptimize: PrintContentOptimize.PHOTO,
      printColorMode: PrintColorMode.MONOCHROME,
    };
    const { black, ...colors } = await printed({ ticket });
    expect(black).toBe((await expected({}, "k"))["black"]);
    for (const plane of Object.values(colors)) expect(plane).toMatch(/^0+$/);
  });
});

describe("source_profile of the metafile", () => {
  test("is the space in which the pages' numbers are read, on every kind of engine", async () => {
    const dots = await printed({ sourceProfile: linear });
    expect(dots).toEqual(await expected({ source: linear }));
    expect(dots).not.toEqual(await expected({}));
    const mono = await printed({ sourceProfile: linear, engine: { inks: ["black"] } });
    expect(mono).toEqual(await expected({ source: linear }, "k"));
  });

  test.each([
    ["is no profile", new Uint8Array(200), /no ICC profile/],
    ["is a printer's", profile, /class "prtr"/],
    ["is for CMYK", renamed(profile, 12, "spac"), /for "CMYK"/],
    ["is damaged", linear.slice().fill(0, 128, 200), /damaged/],
    ["is longer than any", new Uint8Array(5 * 1024 * 1024), /more than/],
  ])(
    "that %s aborts the job before a sheet is fed, and the next job prints",
    async (_, sourceProfile, message) => {
      // The second job's metafile is of the sound server.
      await using sound = await startWith({});
      await using rig = await startWith({ sourceProfile });
      expect(last(await rig.print())).toMatchObject({
        state: JobState.ABORTED,
        errorCode: "metafile-invalid",
        message: expect.stringMatching(message),
      });
      expect(rig.model.counts).toEqual({ fed: 0, stacked: 0, wasted: 0 });
      const next = rig.instruction({ jobId: "job-2", metafileUrl: sound.server.metafileUrl("job-2") });
      expect(last(await rig.print(next))).toMatchObject({ state: JobState.COMPLETED });
      expect(rig.model.counts.stacked).toBe(1);
    },
  );
});

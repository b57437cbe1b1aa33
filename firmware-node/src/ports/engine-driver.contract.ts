/** What every engine driver keeps to, whatever engine is behind it. */
import { describe, expect, test } from "vitest";
import type { EngineDriver, EngineEvent, PageStart, PlanarBand } from "./engine-driver.ts";

export interface DriverFixture extends AsyncDisposable {
  readonly driver: EngineDriver;
  /** The dots of a stacked sheet as hexadecimal planes by side and colorant; undefined when there is none. */
  dots(
    jobId: string,
    sheetNumber: number,
  ): Promise<Readonly<Record<string, Readonly<Record<string, string>>>> | undefined>;
}

const job = (jobId = "job") => ({ jobId, jobName: "a test" });

const page = (init: Partial<PageStart> = {}): PageStart => ({
  impressionNumber: 1,
  sheetNumber: 1,
  side: "front",
  lastOfSheet: true,
  widthPx: 12,
  heightPx: 4,
  resolutionDpi: 300,
  colorants: ["cyan", "magenta", "yellow", "black"],
  media: "iso_a4_210x297mm",
  mediaWidthUm: 210_000,
  mediaHeightUm: 297_000,
  ...init,
});

const band = (yPx: number, planes: PlanarBand["planes"]): PlanarBand => ({
  yPx,
  rowsPx: 2,
  strideBytes: 2,
  planes,
});
const bits = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const noDots = "0000000000000000";

export function engineDriverContract(name: string, open: () => Promise<DriverFixture>): void {
  const { signal } = new AbortController();

  /** Prints a sheet of one blank band and one with dots of cyan and black. */
  const printSide = async (driver: EngineDriver, init: Partial<PageStart> = {}): Promise<void> => {
    await driver.startPage(page(init), signal);
    await driver.writeBand(band(0, []), signal);
    const planes = [
      { colorant: "cyan", bits: bits("80100000") },
      { colorant: "black", bits: bits("00f0abc0") },
    ] as const;
    await driver.writeBand(band(2, planes), signal);
    // The buffers are the caller's again.
    for (const plane of planes) plane.bits.fill(0xff);
    await driver.endPage(signal);
  };
  const printedSide = {
    cyan: "0000000080100000",
    magenta: noDots,
    yellow: noDots,
    black: "0000000000f0abc0",
  };

  describe(`${name} keeps to the engine driver's contract`, () => {
    test("a listener is told of the state and the supplies before listen returns", async () => {
      await using fixture = await open();
      const events: EngineEvent[] = [];
      fixture.driver.listen((event) => events.push(event));
      expect(events.map(({ kind }) => kind).sort()).toEqual(["ready", "supplies"]);
    });

    test("every sheet is told of once, before the end of the job, with the dots that were written", async () => {
      await using fixture = await open();
      const { driver } = fixture;
      const stacked: EngineEvent[] = [];
      const mute = driver.listen((event) => event.kind === "sheet-stacked" && stacked.push(event));
      expect(await driver.startJob(job(), signal)).toBe(0);
      await printSide(driver);
      await printSide(driver, { impressionNumber: 2, sheetNumber: 2, lastOfSheet: false });
      await printSide(driver, { impressionNumber: 3, sheetNumber: 2, side: "back" });
      await driver.endJob(signal);
      expect(stacked).toEqual([
        { kind: "sheet-stacked", jobId: "job", sheetNumber: 1 },
        { kind: "sheet-stacked", jobId: "job", sheetNumber: 2 },
      ]);
      expect(await fixture.dots("job", 1)).toEqual({ front: printedSide });
      expect(await fixture.dots("job", 2)).toEqual({ front: printedSide, back: printedSide });
      mute();
      await driver.startJob(job("next"), signal);
      await printSide(driver);
      expect(stacked).toHaveLength(2);
    });

    test("an abort at any point leaves no half sheet, and the engine ready", async () => {
      await using fixture = await open();
      const { driver } = fixture;
      await driver.abort();
      await driver.startJob(job(), signal);
      await driver.abort();
      await driver.startJob(job(), signal);
      await driver.startPage(page(), signal);
      await driver.abort();
      await driver.startJob(job(), signal);
      await driver.startPage(page(), signal);
      await driver.writeBand(band(0, []), signal);
      await driver.abort();
      await driver.abort();
      await driver.startJob(job(), signal);
      await printSide(driver, { lastOfSheet: false });
      await driver.abort();
      expect(await fixture.dots("job", 1)).toBeUndefined();
      expect(await driver.startJob(job("next"), signal)).toBe(0);
      await printSide(driver);
      await driver.endJob(signal);
      expect(await fixture.dots("next", 1)).toEqual({ front: printedSide });
    });

    test("a job that is begun again goes on after the sheets that are stacked", async () => {
      await using fixture = await open();
      const { driver } = fixture;
      await driver.startJob(job(), signal);
      await printSide(driver);
      await driver.startPage(page({ sheetNumber: 2 }), signal);
      await driver.abort();
      expect(await driver.startJob(job("other"), signal)).toBe(0);
      await driver.abort();
      expect(await driver.startJob(job(), signal)).toBe(1);
      await printSide(driver, { impressionNumber: 2, sheetNumber: 2 });
      await driver.endJob(signal);
      expect(await fixture.dots("job", 2)).toEqual({ front: printedSide });
    });

    test("an operation whose signal has aborted rejects with its reason", async () => {
      await using fixture = await open();
      const { driver } = fixture;
      const reason = new Error("enough");
      const aborted = AbortSignal.abort(reason);
      await expect(driver.startJob(job(), aborted)).rejects.toBe(reason);
      await driver.startJob(job(), signal);
      await expect(driver.startPage(page(), aborted)).rejects.toBe(reason);
      await driver.startPage(page(), signal);
      await expect(driver.writeBand(band(0, []), aborted)).rejects.toBe(reason);
      await expect(driver.endPage(aborted)).rejects.toBe(reason);
      await expect(driver.endJob(aborted)).rejects.toBe(reason);
      await driver.abort();
    });
  });
}

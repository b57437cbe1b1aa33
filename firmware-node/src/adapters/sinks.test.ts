import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PrinterStateReason } from "@platen/proto";
import { describe, expect, test } from "vitest";
import { EngineFault, type EngineDriver, type EngineEvent } from "../ports/engine-driver.ts";
import { openSink } from "./sinks.ts";

const options = { stateDir: "/nowhere", mono: false, resolutionsDpi: [600, 300], duplex: true };
const { signal } = new AbortController();

async function printSheet(driver: EngineDriver, sheetNumber: number): Promise<void> {
  const { colorants } = driver.capabilities;
  const page = { impressionNumber: sheetNumber, sheetNumber, side: "front", lastOfSheet: true } as const;
  const media = { media: "iso_a4_210x297mm", mediaWidthUm: 210_000, mediaHeightUm: 297_000 };
  await driver.startPage(
    { ...page, ...media, widthPx: 8, heightPx: 1, resolutionDpi: 300, colorants },
    signal,
  );
  const planes = [{ colorant: "black", bits: Uint8Array.of(0xff) }] as const;
  await driver.writeBand({ yPx: 0, rowsPx: 1, strideBytes: 1, planes }, signal);
  await driver.endPage(signal);
}

/** Why the next sheet does not come, or undefined. */
async function faultOf(printing: Promise<void>): Promise<readonly PrinterStateReason[] | undefined> {
  try {
    await printing;
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(EngineFault);
    return (error as EngineFault).reasons;
  }
}

test("an engine can do what it is told to be able to", async () => {
  await using color = await openSink("png:sheets", options);
  expect(color.capabilities).toMatchObject({
    colorants: ["cyan", "magenta", "yellow", "black"],
    resolutionsDpi: [300, 600],
    duplex: true,
  });
  await using mono = await openSink("sim:", { ...options, mono: true, duplex: false });
  expect(mono.capabilities).toMatchObject({ colorants: ["black"], duplex: false });
  expect(mono.outputLocation("job")).toBe("");
});

describe("a simulated engine does what its options say", () => {
  const cases: [string, number, PrinterStateReason][] = [
    ["sim:?paper=2", 3, PrinterStateReason.MEDIA_EMPTY],
    ["sim:?output=1", 2, PrinterStateReason.OUTPUT_AREA_FULL],
    ["sim:?ink=20", 3, PrinterStateReason.MARKER_SUPPLY_EMPTY],
    ["sim:?jam-at-sheet=2", 2, PrinterStateReason.MEDIA_JAM],
    ["sim:?cover-at-sheet=1", 1, PrinterStateReason.COVER_OPEN],
    ["sim:?fault-at-sheet=2", 2, PrinterStateReason.ENGINE_FAULT],
  ];
  test.each(cases)("%s stops at sheet %i", async (sink, sheet, reason) => {
    await using driver = await openSink(sink, options);
    await driver.startJob({ jobId: "job", jobName: "" }, signal);
    for (let number = 1; number < sheet; number++) await printSheet(driver, number);
    expect(await faultOf(printSheet(driver, sheet))).toEqual([reason]);
  });

  test("and goes on by itself after clear-after-ms", async () => {
    await using driver = await openSink("sim:?jam-at-sheet=1&clear-after-ms=5", options);
    const ready = Promise.withResolvers<void>();
    driver.listen(
      ({ kind }) => kind === "stopped" && driver.listen((event) => event.kind === "ready" && ready.resolve()),
    );
    await driver.startJob({ jobId: "job", jobName: "" }, signal);
    expect(await faultOf(printSheet(driver, 1))).toEqual([PrinterStateReason.MEDIA_JAM]);
    await ready.promise;
    await printSheet(driver, 1);
  });

  test("and has its cancel button pressed", async () => {
    await using driver = await openSink("sim:?cancel-at-sheet=1", options);
    const events: EngineEvent[] = [];
    driver.listen((event) => events.push(event));
    await driver.startJob({ jobId: "job", jobName: "" }, signal);
    await printSheet(driver, 1);
    expect(events).toContainEqual({ kind: "cancel-pressed" });
  });

  test("and leaves the sheets that came out, and no others, where it is told to", async () => {
    const root = await mkdtemp(join(tmpdir(), "platen-sim-"));
    await using driver = await openSink(`sim:${root}?jam-at-sheet=2`, { ...options, mono: true });
    await driver.startJob({ jobId: "job", jobName: "" }, signal);
    await printSheet(driver, 1);
    await faultOf(printSheet(driver, 2));
    const names = await readdir(join(root, "job"));
    expect(names.sort()).toEqual([".sheets-stacked", "sheet-0001-front-black.png", "sheet-0001-front.png"]);
    await rm(root, { recursive: true });
  });
});

test.each([
  ["laser", "configuration"],
  ["", "configuration"],
  ["png:", "configuration"],
  ["sim:?papr=3", "configuration"],
  ["sim:?paper=none", "configuration"],
  ["sim:?paper=0", "configuration"],
  ["serial:", "configuration"],
  ["serial:/dev/ttyUSB0?speed=3", "configuration"],
  ["serial:/nowhere/port?wait-s=0.1", "engine-offline"],
])("sink %j is refused: %s", async (sink, code) => {
  await expect(openSink(sink, options)).rejects.toMatchObject({ code });
});

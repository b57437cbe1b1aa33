import { describe, expect, test } from "vitest";
import {
  EngineModel,
  type EngineModelOptions,
  EngineStopped,
  type ModelEvent,
  type Trouble,
} from "./engine-model.ts";

const page = { jobId: "job", widthPx: 16, heightPx: 2, side: "front", lastOfSheet: true } as const;
const strip = (...planes: ["cyan" | "magenta" | "yellow" | "black", number][]) => ({
  yPx: 0,
  rowsPx: 2,
  strideBytes: 2,
  planes: planes.map(([colorant, byte]) => ({ colorant, bits: new Uint8Array(4).fill(byte) })),
});

function engine(options: EngineModelOptions = {}): { model: EngineModel; events: ModelEvent[] } {
  const model = new EngineModel(options);
  const events: ModelEvent[] = [];
  model.listen((event) => events.push(event));
  return { model, events };
}

function printSheet(model: EngineModel, sheetNumber: number, byte = 0xff): void {
  model.startSide({ ...page, sheetNumber });
  model.print(strip(["black", byte]));
  model.endSide();
}

test.each([true, false])(
  "ink is low below a tenth, whether its level can be told or not: %s",
  (levelSensors) => {
    const { model } = engine({ inkDots: 1000, levelSensors });
    for (const [percent, isLow] of [
      [100, false],
      [10, false],
      [9, true],
      [0, false],
    ] as const) {
      model.setInkPercent("cyan", percent);
      expect(model.isInkLow).toBe(isLow);
      expect(model.inkPercent("cyan")).toBe(levelSensors ? percent : undefined);
    }
    expect(new EngineModel().isInkLow).toBe(false);
  },
);

/** What stops the work, or nothing. */
function stoppedBy(work: () => void): readonly Trouble[] {
  try {
    work();
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(EngineStopped);
    return (error as EngineStopped).troubles;
  }
}

test("a printed sheet is stacked, counted, told of and kept with its dots", () => {
  const { model, events } = engine({ keepSheets: true });
  model.startSide({ ...page, sheetNumber: 1, lastOfSheet: false });
  model.print(strip(["cyan", 0x80], ["black", 0x01]));
  model.endSide();
  expect(events).toEqual([]);
  model.startSide({ ...page, sheetNumber: 1, side: "back" });
  model.print({ ...strip(), rowsPx: 1 });
  model.print({
    yPx: 1,
    rowsPx: 1,
    strideBytes: 2,
    planes: [{ colorant: "black", bits: Uint8Array.of(7, 8) }],
  });
  model.endSide();
  expect(events).toEqual([{ kind: "sheet-stacked", jobId: "job", sheetNumber: 1 }]);
  expect(model.counts).toEqual({ fed: 1, stacked: 1, wasted: 0 });
  const [front, back] = model.sheets[0]!.sides;
  expect(front!.planes.get("cyan")).toEqual(new Uint8Array(4).fill(0x80));
  expect(front!.planes.get("magenta")).toEqual(new Uint8Array(4));
  expect(back!.planes.get("black")).toEqual(Uint8Array.of(0, 0, 7, 8));
});

test("paper runs out before the sheet that is not there, and printing goes on when somebody has filled the tray", () => {
  const { model, events } = engine({ paperSheets: 2 });
  printSheet(model, 1);
  printSheet(model, 2);
  expect(model.troubles).toEqual([]);
  expect(stoppedBy(() => printSheet(model, 3))).toEqual(["media-empty"]);
  expect(stoppedBy(() => printSheet(model, 3))).toEqual(["media-empty"]);
  model.remedy();
  printSheet(model, 3);
  expect(model.counts).toEqual({ fed: 3, stacked: 3, wasted: 0 });
  expect(events.map(({ kind }) => kind)).toEqual([
    "sheet-stacked",
    "sheet-stacked",
    "stopped",
    "ready",
    "sheet-stacked",
  ]);
  expect(model.stackedOf("job")).toBe(3);
});

test("ink runs out with the dot that it lacks, in mid-page, and the sheet is lost", () => {
  const { model } = engine({ inkDots: 40 });
  printSheet(model, 1);
  expect(model.inkPercent("black")).toBe(20);
  expect(model.inkPercent("cyan")).toBe(100);
  expect(stoppedBy(() => printSheet(model, 2))).toEqual(["marker-supply-empty"]);
  expect(model.counts).toEqual({ fed: 2, stacked: 1, wasted: 1 });
  model.remedy("marker-supply-empty");
  expect(model.inkPercent("black")).toBe(100);
  printSheet(model, 2);
});

test("each dot takes its ink, wherever the strip's bytes lie in memory", () => {
  const memory = Uint8Array.from({ length: 40 }, (_, i) => (i * 37) & 0xff);
  for (let begin = 0; begin < 5; begin++) {
    for (let length = 0; length < 12; length++) {
      const { model } = engine({ inkDots: 100 });
      const bits = memory.subarray(begin, begin + length);
      model.startSide({ ...page, sheetNumber: 1 });
      model.print({ yPx: 0, rowsPx: 1, strideBytes: length, planes: [{ colorant: "black", bits }] });
      const dots = [...bits].reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
      expect(model.inkPercent("black")).toBe(100 - dots);
    }
  }
});

test("ink that is used up to the last dot is enough", () => {
  const { model } = engine({ inkDots: 64 });
  printSheet(model, 1);
  printSheet(model, 2);
  expect(model.inkPercent("black")).toBe(0);
});

describe("something goes wrong when it was told to", () => {
  test.each<Trouble>(["media-jam", "cover-open", "engine-fault"])("at a sheet, once: %s", (trouble) => {
    const { model } = engine();
    model.failAtSheet(trouble, 2);
    printSheet(model, 1);
    expect(stoppedBy(() => printSheet(model, 2))).toEqual([trouble]);
    expect(model.counts.wasted).toBe(1);
    model.remedy();
    printSheet(model, 2);
    expect(model.counts).toEqual({ fed: 3, stacked: 2, wasted: 1 });
  });

  test("at once, and two at a time: it is ready only when both are seen to", () => {
    const { model, events } = engine();
    model.fail("media-jam");
    model.fail("cover-open");
    model.remedy("media-jam");
    expect(stoppedBy(() => printSheet(model, 1))).toEqual(["cover-open"]);
    model.remedy("cover-open");
    printSheet(model, 1);
    expect(events.map(({ kind }) => kind)).toEqual([
      "stopped",
      "stopped",
      "stopped",
      "ready",
      "sheet-stacked",
    ]);
  });

  test("after so many dots", () => {
    const { model, events } = engine();
    model.failAfterDots("cancel-pressed", 40);
    printSheet(model, 1);
    expect(events).not.toContainEqual({ kind: "cancel-pressed" });
    printSheet(model, 2);
    expect(events).toContainEqual({ kind: "cancel-pressed" });
  });
});

test("a full output tray stops the engine before it feeds", () => {
  const { model } = engine({ outputSheets: 1 });
  printSheet(model, 1);
  expect(stoppedBy(() => printSheet(model, 2))).toEqual(["output-area-full"]);
  expect(model.counts).toEqual({ fed: 1, stacked: 1, wasted: 0 });
  model.remedy("output-area-full");
  printSheet(model, 2);
});

test("a sheet in the paper path is thrown out once", () => {
  const { model } = engine();
  model.startSide({ ...page, sheetNumber: 1 });
  model.throwOut();
  model.throwOut();
  expect(model.counts).toEqual({ fed: 1, stacked: 0, wasted: 1 });
});

test("an ink that the engine has not is a mistake of the caller's", () => {
  const { model } = engine({ inks: ["black"] });
  model.startSide({ ...page, sheetNumber: 1 });
  expect(() => model.print(strip(["cyan", 1]))).toThrow("no cyan ink");
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { EngineModel } from "@platen/hw";
import {
  attachEngine,
  instantMechanics,
  type Line,
  ptyLine,
  realClock,
  seededRandom,
  simulatedCapabilities,
  simulatedCapacityBytes,
  SimulatedEngine,
} from "@platen/hw/link";
import { ownVersions } from "@platen/hw/protocol";
import { PlatenError, PrinterStateReason } from "@platen/proto";
import { describe, expect, test } from "vitest";
import { engineDriverContract } from "../ports/engine-driver.contract.ts";
import { type EngineEvent, EngineFault } from "../ports/engine-driver.ts";
import { dotsOfSheet } from "../testing/dots.ts";
import { mistakesOf, printSheets, randomSheet } from "../testing/print-sheets.ts";
import { VirtualEngine, type VirtualEngineOptions } from "../testing/virtual-engine.ts";
import { jobKeyOf, type SerialEngine } from "./serial-engine.ts";
import { fileJournal } from "./serial-journal.ts";
import { inlinePacker } from "./serial-packer.ts";
import { openSerialSink } from "./serial-sink.ts";

async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "platen-serial-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const jobId = "job";

engineDriverContract("the serial engine, on a pseudo-terminal", async () => {
  const folder = await mkdtemp(join(tmpdir(), "platen-serial-"));
  const path = join(folder, "port");
  const line = await ptyLine(path);
  const model = new EngineModel({ keepSheets: true });
  const engine = attachEngine(line, model, { mechanics: instantMechanics });
  const driver = await openSerialSink(`${path}?baud=3000000`, folder);
  return {
    driver,
    dots: async (jobId, sheetNumber) => {
      const sheet = model.sheets.find(
        (one) => one.jobId === jobKeyOf(jobId) && one.sheetNumber === sheetNumber,
      );
      if (!sheet) return undefined;
      const planes = dotsOfSheet(sheet);
      return Object.fromEntries(sheet.sides.map(({ side }, i) => [side, planes[i]!]));
    },
    [Symbol.asyncDispose]: async () => {
      await driver[Symbol.asyncDispose]();
      engine[Symbol.dispose]();
      await line[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
});

test("a cable that is pulled and put back in mid-page is noticed, and passes: no sheet is fed twice", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "port");
    const model = new EngineModel({ keepSheets: true });
    let line: Line | undefined;
    const engine = new SimulatedEngine(
      model,
      realClock,
      {
        ...ownVersions,
        bootId: 1,
        capabilities: simulatedCapabilities,
        mechanics: { ...instantMechanics, rowsPerSecond: 150 },
        capacityBytes: simulatedCapacityBytes,
      },
      (bytes) => line?.write(bytes),
    );
    const plugIn = async (): Promise<void> => {
      line = await ptyLine(path);
      line.onBytes((bytes) => engine.receive(bytes));
    };
    const pullOut = async (): Promise<void> => {
      const pulled = line;
      line = undefined;
      await pulled?.[Symbol.asyncDispose]();
    };
    await plugIn();
    await using driver = await openSerialSink(path, folder);
    const stops: EngineEvent[] = [];
    driver.listen((event) => event.kind === "stopped" && stops.push(event));
    const sheets = [5, 6].map((seed) => randomSheet(seededRandom(seed)));
    const printing = printSheets({ driver, jobId, sheets });
    while (model.counts.fed === 0) await delay(1);
    await pullOut();
    await plugIn();
    await printing;
    await pullOut();
    engine.powerOff();
    expect(mistakesOf(model, jobKeyOf(jobId), sheets)).toEqual([]);
    expect(model.counts).toEqual({ fed: 2, stacked: 2, wasted: 0 });
    expect(stops).toEqual([]);
  });
});

const sheets = Array.from({ length: 3 }, (_, i) => randomSheet(seededRandom(i + 1)));

/** An engine, a driver, and a job of three sheets on its way. */
async function startPrinting(options: VirtualEngineOptions = {}) {
  const engine = new VirtualEngine(options);
  const driver = await engine.openDriver();
  const events: EngineEvent[] = [];
  driver.listen((event) => events.push(event));
  const faults: (readonly PrinterStateReason[])[] = [];
  const begin = (by: SerialEngine, signal?: AbortSignal): Promise<void> =>
    printSheets({
      driver: by,
      jobId,
      sheets,
      ...(signal ? { signal } : {}),
      onFault: (reasons) => faults.push(reasons),
    });
  return {
    engine,
    driver,
    events,
    faults,
    begin,
    async until(isSo: () => boolean): Promise<void> {
      while (!isSo()) await engine.pass(1);
    },
    expectPrinted(): void {
      expect(mistakesOf(engine.model, jobKeyOf(jobId), sheets)).toEqual([]);
      expect(engine.model.sheets).toHaveLength(3);
    },
  };
}

/** Slow enough to be caught in mid-page. */
const slow = { rowsPerSecond: 200 };

describe("the serial engine, in virtual time", () => {
  test("a cut of 4 s in mid-page passes unnoticed: no sheet is fed twice", async () => {
    const { engine, driver, events, begin, until, expectPrinted } = await startPrinting({ mechanics: slow });
    const printing = begin(driver);
    await until(() => engine.model.counts.fed === 2);
    engine.forth.cut(4000);
    engine.back.cut(4000);
    await engine.run(printing);
    expectPrinted();
    expect(engine.model.counts).toEqual({ fed: 3, stacked: 3, wasted: 0 });
    expect(events.filter(({ kind }) => kind === "stopped")).toEqual([]);
  });

  test("a silence of half a minute is engine-offline; the job goes on by itself after it", async () => {
    const { engine, driver, events, faults, begin, until, expectPrinted } = await startPrinting({
      mechanics: slow,
    });
    const printing = begin(driver);
    await until(() => engine.model.counts.fed === 2);
    engine.forth.cut(30_000);
    engine.back.cut(30_000);
    await engine.run(printing);
    expectPrinted();
    expect(faults).toEqual([[PrinterStateReason.ENGINE_OFFLINE]]);
    const kinds = events.map((event) => event.kind).filter((kind) => kind === "stopped" || kind === "ready");
    expect(kinds).toEqual(["ready", "stopped", "ready"]);
  });

  test("an engine that restarts in mid-page loses that sheet only", async () => {
    const { engine, driver, faults, begin, until, expectPrinted } = await startPrinting({ mechanics: slow });
    const printing = begin(driver);
    await until(() => engine.model.counts.fed === 2);
    engine.powerOff();
    await engine.pass(500);
    engine.powerOn();
    await engine.run(printing);
    expectPrinted();
    expect(faults).toHaveLength(1);
    expect(engine.model.counts).toEqual({ fed: 4, stacked: 3, wasted: 1 });
  });

  test("a controller that loses its power goes on after what its journal and the engine know", async () => {
    const { engine, driver, begin, until, expectPrinted } = await startPrinting({ mechanics: slow });
    begin(driver).catch(() => {});
    await until(() => engine.model.counts.fed === 3);
    const second = await engine.openDriver();
    await engine.run(begin(second));
    expectPrinted();
    expect(engine.model.counts.wasted).toBe(1);
  });

  test("when both lose their power at once, the journal alone knows", async () => {
    const { engine, driver, begin, until, expectPrinted } = await startPrinting({ mechanics: slow });
    begin(driver).catch(() => {});
    await until(() => engine.model.counts.fed === 3);
    engine.powerOff();
    engine.powerOn();
    const second = await engine.openDriver();
    await engine.run(begin(second));
    expectPrinted();
  });

  test.each([
    ["media-empty", PrinterStateReason.MEDIA_EMPTY],
    ["media-jam", PrinterStateReason.MEDIA_JAM],
    ["marker-supply-empty", PrinterStateReason.MARKER_SUPPLY_EMPTY],
    ["cover-open", PrinterStateReason.COVER_OPEN],
    ["engine-fault", PrinterStateReason.ENGINE_FAULT],
  ] as const)(
    "S1411: %s stops the job under its name, and it goes on when seen to",
    async (trouble, reason) => {
      const { engine, driver, events, faults, begin, until, expectPrinted } = await startPrinting();
      engine.model.failAtSheet(trouble, 2);
      const printing = begin(driver);
      await until(() => faults.length > 0);
      expect(faults).toEqual([[reason]]);
      await engine.pass(60_000);
      expect(events.at(-1)?.kind).not.toBe("ready");
      engine.model.remedy();
      await engine.run(printing);
      expectPrinted();
      expect(faults).toHaveLength(1);
    },
  );

  test("a stop that is over before anybody asked is still told to the next operation", async () => {
    const { engine, driver } = await startPrinting();
    const { signal } = new AbortController();
    await engine.run(driver.startJob({ jobId, jobName: "" }, signal));
    engine.model.fail("cover-open");
    engine.model.remedy();
    await engine.pass(1000);
    await expect(engine.run(driver.endJob(signal))).rejects.toThrow(EngineFault);
    await engine.run(driver.endJob(signal));
  });

  test("what the engine says though it prints is a warning, told as it changes and to who comes later", async () => {
    const engine = new VirtualEngine({ model: { inkDots: 100_000_000, levelSensors: false } });
    const driver = await engine.openDriver();
    const warnings = () => {
      const told: EngineEvent[] = [];
      driver.listen((event) => event.kind === "warnings" && told.push(event));
      return told;
    };
    const first = warnings();
    const print = (id: string) => engine.run(printSheets({ driver, jobId: id, sheets }));
    engine.model.setInkPercent("cyan", 5);
    await print("one");
    const low = { kind: "warnings", reasons: [PrinterStateReason.MARKER_SUPPLY_LOW] };
    expect(first).toEqual([low]);
    expect(warnings()).toEqual([low]);
    engine.model.setInkPercent("cyan", 100);
    await print("two");
    expect(first).toEqual([low, { kind: "warnings", reasons: [] }]);
    expect(warnings()).toEqual([]);
  });

  test("S1411: cancel at the engine is told once", async () => {
    const { engine, events } = await startPrinting();
    engine.model.pressCancel();
    await engine.pass(5000);
    expect(events.filter(({ kind }) => kind === "cancel-pressed")).toHaveLength(1);
  });

  test("S1411: the user's cancel in mid-page throws the sheet out, and the next job prints", async () => {
    const { engine, driver, begin, until, expectPrinted } = await startPrinting({ mechanics: slow });
    const cancel = new AbortController();
    const printing = begin(driver, cancel.signal);
    await until(() => engine.model.counts.fed === 1);
    const reason = new Error("canceled");
    cancel.abort(reason);
    await expect(engine.run(printing)).rejects.toBe(reason);
    await engine.run(driver.abort());
    expect(engine.model.counts).toEqual({ fed: 1, stacked: 0, wasted: 1 });
    await engine.run(begin(driver));
    expectPrinted();
  });

  test("a cancel completes although the engine is gone, and holds when it comes back", async () => {
    const { engine, driver, begin, until } = await startPrinting({ mechanics: { rowsPerSecond: 10 } });
    const cancel = new AbortController();
    const printing = begin(driver, cancel.signal);
    await until(() => engine.model.counts.fed === 1);
    engine.forth.cut(20_000);
    engine.back.cut(20_000);
    cancel.abort();
    await expect(engine.run(printing)).rejects.toThrow("aborted");
    const startMs = engine.clock.nowMs();
    await engine.run(driver.abort());
    expect(engine.clock.nowMs() - startMs).toBeLessThan(4000);
    await engine.pass(40_000);
    // A sheet in the path may be finished, if its dots are there; no other is fed.
    const { fed, stacked, wasted } = engine.model.counts;
    expect({ fed, left: stacked + wasted }).toEqual({ fed: 1, left: 1 });
  });

  test("S1411: aborted in mid-strip, a write settles when its planes are packed, and the next job prints", async () => {
    const engine = new VirtualEngine();
    const gate = Promise.withResolvers<void>();
    const packing: unknown[] = [];
    const driver = await engine.openDriver(undefined, {
      packer: {
        ...inlinePacker,
        async pack(...strip) {
          if (packing.push(strip) === 2) await gate.promise;
          return inlinePacker.pack(...strip);
        },
      },
    });
    const cancel = new AbortController();
    let settled = false;
    const printing = printSheets({ driver, jobId, sheets, signal: cancel.signal }).finally(() => {
      settled = true;
    });
    printing.catch(() => {});
    while (packing.length < 2) await engine.pass(1);
    cancel.abort(new Error("canceled"));
    await engine.pass(1000);
    expect(settled).toBe(false);
    gate.resolve();
    await expect(engine.run(printing)).rejects.toThrow("canceled");
    await engine.run(driver.abort());
    await engine.run(printSheets({ driver, jobId, sheets }));
    expect(mistakesOf(engine.model, jobKeyOf(jobId), sheets)).toEqual([]);
  });

  test("an engine that comes late is taken for something until then; a job that waits for it prints", async () => {
    const engine = new VirtualEngine();
    engine.powerOff();
    const assumed = {
      makeAndModel: "unknown",
      colorants: ["black"] as const,
      resolutionsDpi: [300],
      duplex: false,
    };
    const driver = await engine.openDriver(1000, { assumed });
    expect(driver.capabilities).toEqual(assumed);
    const events: EngineEvent[] = [];
    driver.listen((event) => events.push(event));
    const { CONNECTING_TO_DEVICE, ENGINE_OFFLINE } = PrinterStateReason;
    const absent = {
      kind: "stopped",
      reasons: [CONNECTING_TO_DEVICE, ENGINE_OFFLINE],
      message: "no engine answers on the serial port",
    };
    const printing = printSheets({ driver, jobId, sheets });
    await engine.pass(60_000);
    expect(events.filter(({ kind }) => kind !== "supplies")).toEqual([absent]);
    engine.powerOn();
    await engine.run(printing);
    const { makeAndModel, colorants, resolutionsDpi, duplex } = simulatedCapabilities;
    const capabilities = { makeAndModel, colorants, resolutionsDpi, duplex };
    expect(events.filter(({ kind }) => kind !== "supplies" && kind !== "sheet-stacked")).toEqual([
      absent,
      { kind: "capabilities", capabilities },
      { kind: "ready" },
    ]);
    expect(driver.capabilities).toEqual(capabilities);
    expect(mistakesOf(engine.model, jobKeyOf(jobId), sheets)).toEqual([]);
  });

  test("an engine of another version is waited out too, with what to do", async () => {
    const engine = new VirtualEngine({ versions: { minVersion: 7, maxVersion: 9 } });
    const assumed = { makeAndModel: "", colorants: ["black"] as const, resolutionsDpi: [300], duplex: false };
    const driver = await engine.openDriver(1000, { assumed });
    const events: EngineEvent[] = [];
    driver.listen((event) => events.push(event));
    await engine.pass(60_000);
    expect(events.filter(({ kind }) => kind !== "supplies")).toEqual([
      {
        kind: "stopped",
        reasons: [PrinterStateReason.ENGINE_OFFLINE],
        message: expect.stringMatching(/versions 7 to 9 .* update the older/),
      },
    ]);
  });

  test("an engine that is not there is engine-offline, in time", async () => {
    const engine = new VirtualEngine();
    engine.powerOff();
    await expect(engine.openDriver(3000)).rejects.toMatchObject({ code: "engine-offline" });
  });

  test("an engine of another version is refused with what to do", async () => {
    const engine = new VirtualEngine({ versions: { minVersion: 7, maxVersion: 9 } });
    const opening = engine.openDriver();
    await expect(opening).rejects.toBeInstanceOf(PlatenError);
    await expect(opening).rejects.toThrow(/versions 7 to 9 .* update the older/);
  });
});

describe("the journal", () => {
  test("is read again, holds several jobs, and a damaged one counts as none", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "deep", "journal.json");
      const first = fileJournal(path);
      for (let i = 0; i < 40; i++) first.save(i.toString(16).padStart(16, "0"), i + 1);
      const second = fileJournal(path);
      expect(second.stackedOf((39).toString(16).padStart(16, "0"))).toBe(40);
      expect(second.stackedOf((8).toString(16).padStart(16, "0"))).toBe(9);
      expect(second.stackedOf((7).toString(16).padStart(16, "0"))).toBe(0);
      await writeFile(path, '[["');
      expect(fileJournal(path).stackedOf((39).toString(16).padStart(16, "0"))).toBe(0);
    });
  });

  test("that cannot be written says so", async () => {
    await withFolder(async (folder) => {
      await expect(async () => fileJournal(folder).save("0".repeat(16), 1)).rejects.toMatchObject({
        code: "configuration",
      });
    });
  });
});

test.each(["", "?baud=1", "/dev/x?baud=fast", "/dev/x?speed=3"])(
  "--sink serial:%s is refused",
  async (rest) => {
    await expect(openSerialSink(rest, "/nowhere")).rejects.toMatchObject({ code: "configuration" });
  },
);

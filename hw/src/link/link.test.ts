/** Both state machines, the device and the line together, in virtual time. */
import { describe, expect, test } from "vitest";
import {
  bandMessages,
  type Capabilities,
  digestBand,
  encodeAbort,
  encodeFrame,
  encodeHello,
  frameType,
  type Message,
  ownVersions,
  type PlainBand,
} from "../../protocol/index.ts";
import { EngineModel, type EngineModelOptions } from "../engine-model.ts";
import { type Clock, VirtualClock } from "./clock.ts";
import { type EngineMemory, instantMechanics, type Mechanics } from "./engine-device.ts";
import { FaultyLine, type LineFaults, type LineOptions } from "./faulty-line.ts";
import { HostLink, type LinkEvent } from "./host-link.ts";
import { randomInt, seededRandom } from "./random.ts";
import { SimulatedEngine } from "./simulated-engine.ts";

const capabilities: Capabilities = {
  makeAndModel: "Test engine",
  serialNumber: "1",
  firmwareVersion: "1",
  colorants: ["cyan", "magenta", "yellow", "black"],
  resolutionsDpi: [600],
  codecs: ["raw", "packbits", "delta-row", "context"],
  duplex: true,
  maxWidthPx: 5100,
  maxHeightPx: 7100,
  maxBandBytes: 8192,
  maxPayloadBytes: 512,
  windowFrames: 16,
  feed: "pauses",
};

interface RigOptions {
  readonly seed?: number;
  readonly line?: LineOptions;
  readonly model?: EngineModelOptions;
  readonly mechanics?: Mechanics;
  readonly capabilities?: Partial<Capabilities>;
  readonly engineVersions?: { minVersion: number; maxVersion: number };
  readonly hostVersions?: { minVersion: number; maxVersion: number };
  /** Across restarts of the engine; default: none. */
  readonly memory?: EngineMemory;
}

/** A host and an engine with a line between them. */
function makeRig(options: RigOptions = {}) {
  const clock = new VirtualClock();
  const random = seededRandom(options.seed ?? 1);
  const line = options.line ?? { baudRateBps: 3_000_000 };
  const model = new EngineModel({ keepSheets: true, ...options.model });
  const events: LinkEvent[] = [];
  const toEngine = new FaultyLine(clock, random, line, (bytes) => rig.engine.receive(bytes));
  const toHost = new FaultyLine(clock, random, line, (bytes) => rig.link.receive(bytes));
  let bootId = 100;
  /** How far the host's clock is ahead: how long it stood still, and saw nothing of what happened. */
  let stillMs = 0;
  const hostClock: Clock = {
    nowMs: () => clock.nowMs() + stillMs,
    after: (delayMs, work) => clock.after(delayMs, work),
  };
  const startEngine = (): SimulatedEngine =>
    new SimulatedEngine(
      model,
      clock,
      {
        ...(options.engineVersions ?? ownVersions),
        bootId: bootId++,
        capabilities: { ...capabilities, ...options.capabilities },
        mechanics: options.mechanics ?? instantMechanics,
        capacityBytes: 16_384,
        ...(options.memory && { memory: options.memory }),
      },
      (bytes) => toHost.send(bytes),
    );
  const startLink = (): HostLink => {
    const link = new HostLink(
      {
        ...(options.hostVersions ?? ownVersions),
        bootId: bootId++,
        firstSession: 65_534,
        payloadBytes: 512,
        bytesUnderWay: 16_384,
      },
      hostClock,
      (bytes) => toEngine.send(bytes),
    );
    link.listen((event) => events.push(event));
    return link;
  };
  const rig = {
    clock,
    model,
    toEngine,
    toHost,
    events,
    link: startLink(),
    engine: startEngine(),
    hostStandsStill(ms: number): void {
      stillMs += ms;
    },
    restartEngine(): void {
      rig.engine.powerOff();
      rig.engine = startEngine();
    },
    restartHost(): void {
      rig.link.stop();
      rig.link = startLink();
      rig.link.opened();
    },
    /** Runs until it is so; fails after a minute of virtual time. */
    run(done: () => boolean, limitMs = 60_000): void {
      expect(clock.runUntil(done, limitMs)).toBe(true);
    },
    runFor(ms: number): void {
      const end = clock.nowMs() + ms;
      clock.runUntil(() => clock.nowMs() >= end, ms);
    },
  };
  rig.link.opened();
  return rig;
}

type Rig = ReturnType<typeof makeRig>;

const jobKey = "00000000000000aa";
const widthPx = 1600;
const strideBytes = 200;
const bandRows = 40;

/** A sheet of noise, so that a byte that is lost or doubled shows. */
function makeSheet(seed: number, bands = 6): PlainBand[] {
  const random = seededRandom(seed);
  return Array.from({ length: bands }, (_, i) => ({
    colorant: i % 2 ? "black" : "cyan",
    yPx: i * bandRows,
    rowsPx: bandRows,
    bits: Uint8Array.from({ length: strideBytes * bandRows }, () => randomInt(random, 0, 255)),
  }));
}

function sheetMessages(sheet: number, bands: readonly PlainBand[]): Message[] {
  const page: Message = {
    kind: "page",
    sheet,
    side: "front",
    lastOfSheet: true,
    widthPx,
    heightPx: bandRows * bands.length,
    resolutionDpi: 600,
    colorants: ["cyan", "black"],
    mediaWidthUm: 210_000,
    mediaHeightUm: 297_000,
    media: "iso_a4_210x297mm",
  };
  const data = bands.flatMap(({ colorant, yPx, rowsPx, bits }): Message[] => {
    const head = { kind: "band", codec: "raw", colorant, yPx, rowsPx, encodedBytes: bits.length } as const;
    const messages: Message[] = [{ ...head, bytes: bits.subarray(0, 500) }];
    for (let at = 500; at < bits.length; at += 512)
      messages.push({ kind: "data", bytes: bits.subarray(at, at + 512) });
    return messages;
  });
  return [page, ...data, { kind: "page-end", digest: bands.reduce(digestBand, 0) }];
}

const job = (sheetsStacked = 0): Message => ({ kind: "job", jobKey, sheetsStacked, name: "test" });
const sendAll = (rig: Rig, ...messages: Message[]): void =>
  messages.forEach((message) => rig.link.send(message));

const stackedSheets = (rig: Rig): number[] => rig.model.sheets.map((sheet) => sheet.sheetNumber);

/** The sheets in the tray are these, to the bit. */
function expectPrinted(rig: Rig, ...sheets: (readonly PlainBand[])[]): void {
  expect(stackedSheets(rig)).toEqual(sheets.map((_, i) => i + 1));
  sheets.forEach((bands, i) => {
    for (const { colorant, yPx, bits } of bands) {
      const plane = rig.model.sheets[i]!.sides[0]!.planes.get(colorant)!;
      const printed = plane.subarray(yPx * strideBytes, yPx * strideBytes + bits.length);
      expect(Buffer.compare(printed, bits)).toBe(0);
    }
  });
}

const sheets = [makeSheet(11), makeSheet(12), makeSheet(13)] as const;
const allMessages = [
  job(),
  ...sheets.flatMap((bands, i) => sheetMessages(i + 1, bands)),
  { kind: "job-end" } as const,
];
const isStacked = (rig: Rig, sheet: number) => () => rig.link.status?.sheetsStacked === sheet;

describe("a job", () => {
  test("is printed as it was sent, and its stacked sheets are acknowledged with their digest", () => {
    const rig = makeRig();
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
    expect(rig.link.status?.stackedDigest).toBe(sheets[2].reduce(digestBand, 0));
    expect(rig.events.filter((event) => event.kind === "up")).toHaveLength(1);
  });

  const faults: Record<string, LineFaults> = {
    "bit errors at 1e-4": { bitErrorRate: 1e-4 },
    "bit errors at 2e-4": { bitErrorRate: 2e-4 },
    bursts: { burstRate: 0.01 },
    "lost pieces": { dropRate: 0.02 },
    "repeated pieces": { duplicateRate: 0.05 },
    "reordered pieces": { reorderRate: 0.03 },
    "delay and jitter": { delayMs: 40, jitterMs: 60 },
    everything: {
      bitErrorRate: 5e-5,
      burstRate: 0.002,
      dropRate: 0.005,
      duplicateRate: 0.01,
      reorderRate: 0.005,
    },
  };
  test.each(Object.entries(faults))("comes out the same over a line with %s", (_, lineFaults) => {
    for (let seed = 1; seed <= 3; seed++) {
      const rig = makeRig({ seed, line: { baudRateBps: 3_000_000, faults: lineFaults } });
      rig.run(() => rig.link.isUp);
      sendAll(rig, ...allMessages);
      rig.run(isStacked(rig, 3), 600_000);
      expectPrinted(rig, ...sheets);
      // A bad line is no reason to begin anew.
      expect(rig.events.filter((event) => event.kind === "up" && !event.resumed)).toHaveLength(1);
    }
  });

  test("gets through at a bit error rate of 1e-3, in smaller frames", () => {
    const rig = makeRig({ line: { baudRateBps: 3_000_000, faults: { bitErrorRate: 1e-3 } } });
    rig.run(() => rig.link.isUp);
    sendAll(rig, job(), sheetMessages(1, sheets[0])[0]!);
    for (const band of sheets[0]) {
      sendAll(rig, ...bandMessages(band, strideBytes, rig.link.capabilities!, rig.link.payloadBytes));
      rig.run(() => rig.link.isDelivered, 300_000);
    }
    expect(rig.link.payloadBytes).toBeLessThan(200);
    sendAll(rig, { kind: "page-end", digest: sheets[0].reduce(digestBand, 0) }, { kind: "job-end" });
    rig.run(isStacked(rig, 1), 300_000);
    expectPrinted(rig, sheets[0]);
  });

  test("waits for the engine's memory: no more is sent than it granted", () => {
    const slow = { ...instantMechanics, rowsPerSecond: 400 };
    const rig = makeRig({ mechanics: slow });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.runFor(300);
    expect(rig.link.isHeldUp).toBe(true);
    expect(rig.toEngine.counts.bytes).toBeLessThan(2 * 16_384 + 120 * strideBytes * 2);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
  });

  test("is printed at a steady pace by an engine that takes whole pages first", () => {
    const rig = makeRig({
      capabilities: { feed: "whole-page" },
      mechanics: { warmUpMs: 1000, feedMs: 100, ejectMs: 100, rowsPerSecond: 2400 },
      line: { baudRateBps: 921_600 },
    });
    rig.run(() => rig.link.isUp);
    const startMs = rig.clock.nowMs();
    sendAll(rig, ...allMessages);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
    // 48 kB a sheet at 92 kB/s; three sheets of 100 + 100 + 100 ms are less than that, but for the last.
    expect(rig.clock.nowMs() - startMs).toBeLessThan(1000 + 3 * 560 + 400);
  });
});

describe("a line that", () => {
  test.each([1000, 10_000, 30_000])("stalls for %d ms goes on where it was", (stallMs) => {
    const rig = makeRig();
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.runFor(200);
    rig.toEngine.stall(stallMs);
    rig.toHost.stall(stallMs);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
    expect(rig.model.counts.wasted).toBe(0);
  });

  test("is cut for 5 s resumes in mid-page: no sheet is begun again", () => {
    const rig = makeRig({ mechanics: { ...instantMechanics, rowsPerSecond: 400 } });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.runFor(300);
    rig.toEngine.cut(5000);
    rig.toHost.cut(5000);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
    expect(rig.model.counts).toEqual({ fed: 3, stacked: 3, wasted: 0 });
    expect(rig.events).toContainEqual({ kind: "lost" });
    expect(rig.events).toContainEqual(expect.objectContaining({ kind: "up", resumed: true }));
  });

  test("of a host that stood still as long as a silence lasts takes what it goes on to send", () => {
    const rig = makeRig();
    rig.run(() => rig.link.isUp);
    const half = allMessages.length >> 1;
    sendAll(rig, ...allMessages.slice(0, half));
    rig.runFor(50);
    rig.hostStandsStill(3000);
    // The first of these is what shows the silence.
    sendAll(rig, ...allMessages.slice(half));
    expect(rig.link.isUp).toBe(false);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
    const seen = rig.events.map((event) => (event.kind === "up" ? event.resumed : event.kind));
    expect(seen.filter((one) => one !== "status")).toEqual([false, "lost", true]);
  });

  test("is cut for good makes the engine feed no further sheet, and throw out what it has", () => {
    const rig = makeRig({ mechanics: { ...instantMechanics, rowsPerSecond: 100 } });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.runFor(3000);
    rig.toEngine.cut(1e9);
    rig.runFor(120_000);
    expect(rig.model.counts.stacked).toBeLessThan(3);
    expect(rig.model.counts.fed).toBe(rig.model.counts.stacked + rig.model.counts.wasted);
    expect(rig.link.isUp).toBe(false);
  });
});

/** What a host does once the engine is there again: the job goes on after what is stacked. */
function goOn(rig: Rig, known: number): void {
  rig.link.send(job(known));
  rig.run(() => rig.link.status?.jobKey === jobKey);
  const stacked = rig.link.status!.sheetsStacked;
  sheets.forEach((bands, i) => {
    if (i + 1 > stacked) sendAll(rig, ...sheetMessages(i + 1, bands));
  });
  rig.link.send({ kind: "job-end" });
}

describe("after a restart", () => {
  const slow = { ...instantMechanics, rowsPerSecond: 800 };

  test("of the host the engine tells what it stacked, and the job goes on after it", () => {
    const rig = makeRig({ mechanics: slow });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.run(() => rig.model.counts.stacked === 1 && rig.model.counts.fed === 2);
    rig.restartHost();
    rig.run(() => rig.link.isUp);
    goOn(rig, 0);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
    expect(rig.model.counts.wasted).toBe(1);
  });

  test("of the engine in mid-session the host notices, and its own count holds", () => {
    const rig = makeRig({ mechanics: slow });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.run(isStacked(rig, 1));
    rig.restartEngine();
    rig.run(() => rig.events.filter((event) => event.kind === "up" && !event.resumed).length === 2);
    goOn(rig, 1);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
  });

  test.each([
    ["of both at once, an engine that remembers across a power cut tells what it stacked", {}, 1],
    ["of both at once, one that forgets begins anew", undefined, 0],
  ])("%s", (_, memory, remembered) => {
    const rig = makeRig({ mechanics: slow, ...(memory && { memory }) });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.run(isStacked(rig, 1));
    const { stackedDigest } = rig.link.status!;
    rig.restartEngine();
    rig.restartHost();
    rig.run(() => rig.link.isUp && rig.link.status !== undefined);
    // None since it started: what it remembers is of no interest before the host names the job.
    expect(rig.link.status).toMatchObject({ jobKey: "0000000000000000", sheetsStacked: 0 });
    rig.link.send(job(0));
    rig.run(() => rig.link.status?.jobKey === jobKey);
    expect(rig.link.status).toMatchObject({
      sheetsStacked: remembered,
      stackedDigest: remembered ? stackedDigest : 0,
    });
  });

  test("a sheet that is stacked cannot be printed again, whatever the host says", () => {
    const rig = makeRig();
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.run(isStacked(rig, 3));
    sendAll(rig, job(0), ...sheetMessages(1, sheets[0]));
    rig.run(() => rig.link.status?.refusal === "wrong-sheet");
    expectPrinted(rig, ...sheets);
  });
});

describe("an abort", () => {
  test("gets through while no credit is left, and throws out the sheet in the path", () => {
    const rig = makeRig({ mechanics: { ...instantMechanics, rowsPerSecond: 10 } });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.run(() => rig.link.isHeldUp && rig.model.counts.fed === 1);
    const askedMs = rig.clock.nowMs();
    rig.link.abort();
    rig.run(() => rig.link.isUp);
    expect(rig.clock.nowMs() - askedMs).toBeLessThan(200);
    expect(rig.model.counts).toEqual({ fed: 1, stacked: 0, wasted: 1 });
    expect(rig.link.isDelivered).toBe(true);
  });

  test("is repeated over a line that loses half of all large frames, and the next job is printed", () => {
    const rig = makeRig({ seed: 5, line: { baudRateBps: 3_000_000, faults: { dropRate: 0.1 } } });
    rig.run(() => rig.link.isUp);
    sendAll(rig, job(), ...sheetMessages(1, sheets[0]).slice(0, 20));
    rig.link.abort();
    rig.run(() => rig.link.isUp);
    sendAll(rig, job(), ...sheetMessages(1, sheets[0]), { kind: "job-end" });
    rig.run(isStacked(rig, 1), 600_000);
    expectPrinted(rig, sheets[0]);
  });

  test("that reaches an engine which has just restarted ends in a new greeting", () => {
    const rig = makeRig();
    rig.run(() => rig.link.isUp);
    sendAll(rig, job(), ...sheetMessages(1, sheets[0]).slice(0, 9));
    rig.runFor(100);
    rig.restartEngine();
    rig.link.abort();
    rig.run(() => rig.link.isUp);
    goOn(rig, 0);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
  });

  test("that arrives again long after does nothing", () => {
    const rig = makeRig();
    rig.run(() => rig.link.isUp);
    rig.link.abort();
    rig.run(() => rig.link.isUp);
    rig.link.abort();
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.runFor(50);
    const stale = encodeFrame({
      type: frameType.abort,
      session: 65_534,
      number: 3,
      payload: encodeAbort(65_535),
    });
    rig.engine.receive(stale);
    rig.run(isStacked(rig, 3));
    expect(rig.model.counts.wasted).toBe(0);
  });
});

describe("trouble", () => {
  test("in mid-page is told at once with its name, voids what is not stacked, and the job goes on when it is seen to", () => {
    const rig = makeRig();
    rig.model.failAtSheet("media-jam", 2);
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.run(() => rig.link.status?.state === "stopped" && rig.link.status.refusal === "stopped");
    expect(rig.link.status).toMatchObject({ reasons: ["media-jam"], sheetsStacked: 1 });
    rig.model.remedy();
    rig.run(() => rig.link.status?.reasons.length === 0);
    // The remedy does not bring back what was thrown out.
    expect(rig.link.status?.refusal).toBe("stopped");
    rig.link.abort();
    rig.run(() => rig.link.isUp);
    goOn(rig, 1);
    rig.run(isStacked(rig, 3));
    expectPrinted(rig, ...sheets);
  });

  test("that comes and goes while the line is cut is still known of", () => {
    const rig = makeRig({ mechanics: { ...instantMechanics, rowsPerSecond: 400 } });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.runFor(200);
    rig.toHost.cut(1000);
    rig.model.fail("cover-open");
    rig.model.remedy();
    rig.run(() => rig.link.status?.refusal === "stopped");
    expect(rig.link.status?.reasons).toEqual([]);
  });

  test("before a job refuses its page", () => {
    const rig = makeRig({ model: { paperSheets: 0 } });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.run(() => rig.link.status?.refusal === "stopped");
    expect(rig.link.status?.reasons).toEqual(["media-empty"]);
    expect(rig.model.counts.fed).toBe(0);
  });

  test("with the cancel button: presses are counted, so that none is lost", () => {
    const rig = makeRig();
    rig.run(() => rig.link.status !== undefined);
    rig.toHost.cut(100);
    rig.model.pressCancel();
    rig.run(() => rig.link.status?.cancelPresses === 1);
  });
});

describe("versions", () => {
  test("an old host and a new engine take the newest that both know", () => {
    const rig = makeRig({
      engineVersions: { minVersion: 1, maxVersion: 3 },
      hostVersions: { minVersion: 1, maxVersion: 1 },
    });
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.run(isStacked(rig, 3));
  });

  test.each([
    ["old host, new engine", { minVersion: 1, maxVersion: 1 }, { minVersion: 2, maxVersion: 3 }],
    ["new host, old engine", { minVersion: 2, maxVersion: 3 }, { minVersion: 1, maxVersion: 1 }],
  ])("%s with none in common: a clear refusal, once", (_, hostVersions, engineVersions) => {
    const rig = makeRig({ engineVersions, hostVersions });
    rig.runFor(20_000);
    expect(rig.events).toEqual([
      {
        kind: "refused",
        engineMinVersion: engineVersions.minVersion,
        engineMaxVersion: engineVersions.maxVersion,
      },
    ]);
    expect(rig.link.isUp).toBe(false);
  });
});

test("a greeting of an earlier session that arrives late does not undo the present one", () => {
  const rig = makeRig();
  rig.run(() => rig.link.isUp);
  rig.link.abort();
  rig.run(() => rig.link.isUp);
  sendAll(rig, ...allMessages);
  rig.runFor(60);
  const hello = encodeHello({ ...ownVersions, hostBootId: 100 });
  rig.engine.receive(encodeFrame({ type: frameType.hello, session: 65_534, number: 0, payload: hello }));
  rig.run(isStacked(rig, 3));
  expect(rig.model.counts.wasted).toBe(0);
});

test("goodput at a bit error rate of 1e-5 is at least nine tenths of a clean line's", () => {
  const big = Array.from({ length: 12 }, (_, i) => makeSheet(20 + i, 12));
  const took = (faults: LineFaults): number => {
    const rig = makeRig({ seed: 3, line: { baudRateBps: 3_000_000, faults } });
    rig.run(() => rig.link.isUp);
    const startMs = rig.clock.nowMs();
    sendAll(rig, job(), ...big.flatMap((bands, i) => sheetMessages(i + 1, bands)), { kind: "job-end" });
    rig.run(isStacked(rig, big.length));
    return rig.clock.nowMs() - startMs;
  };
  const cleanMs = took({});
  expect(cleanMs / took({ bitErrorRate: 1e-5 })).toBeGreaterThan(0.9);
  // The line itself is used well: 1.15 MB in frames of 512 bytes.
  expect((12 * 12 * strideBytes * bandRows) / 300 / cleanMs).toBeGreaterThan(0.9);
});

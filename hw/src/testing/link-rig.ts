/** For tests: both state machines, the device and the line together, in virtual time, and sheets to print. */
import { expect } from "vitest";
import {
  type Capabilities,
  digestBand,
  type Message,
  ownVersions,
  type PlainBand,
} from "../../protocol/index.ts";
import { EngineModel, type EngineModelOptions } from "../engine-model.ts";
import { type Clock, VirtualClock } from "../link/clock.ts";
import { type EngineMemory, instantMechanics, type Mechanics } from "../link/engine-device.ts";
import { FaultyLine, type LineOptions } from "../link/faulty-line.ts";
import { HostLink, type LinkEvent } from "../link/host-link.ts";
import { randomInt, seededRandom } from "../link/random.ts";
import { SimulatedEngine } from "../link/simulated-engine.ts";

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
export function makeRig(options: RigOptions = {}) {
  const clock = new VirtualClock();
  const random = seededRandom(options.seed ?? 1);
  const line = options.line ?? { baudRateBps: 3_000_000 };
  const model = new EngineModel({ keepSheets: true, ...options.model });
  const events: LinkEvent[] = [];
  const toEngine = new FaultyLine(clock, random, line, (bytes) => rig.engine.receive(bytes));
  const toHost = new FaultyLine(clock, random, line, (bytes) => {
    // What came while the host stood still is read a little after the clocks that ran out have rung.
    const waitMs = stillUntilMs + 1 - clock.nowMs();
    if (waitMs > 0) clock.after(waitMs, () => rig.link.receive(bytes));
    else rig.link.receive(bytes);
  });
  let bootId = 100;
  let stillUntilMs = -1;
  const hostClock: Clock = {
    nowMs: () => clock.nowMs(),
    after(delayMs, work) {
      let cancel = clock.after(delayMs, () => {
        const waitMs = stillUntilMs - clock.nowMs();
        if (waitMs > 0) cancel = clock.after(waitMs, work);
        else work();
      });
      return () => cancel();
    },
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
    /** As if it had to wait for a core: nothing rings there, and nothing is read, until so long from now. */
    hostStandsStill(ms: number): void {
      stillUntilMs = clock.nowMs() + ms;
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

export type Rig = ReturnType<typeof makeRig>;

export const jobKey = "00000000000000aa";
const widthPx = 1600;
export const strideBytes = 200;
export const bandRows = 40;

/** A sheet of noise, so that a byte that is lost or doubled shows. */
export function makeSheet(seed: number, bands = 6): PlainBand[] {
  const random = seededRandom(seed);
  return Array.from({ length: bands }, (_, i) => ({
    colorant: i % 2 ? "black" : "cyan",
    yPx: i * bandRows,
    rowsPx: bandRows,
    bits: Uint8Array.from({ length: strideBytes * bandRows }, () => randomInt(random, 0, 255)),
  }));
}

export function sheetMessages(sheet: number, bands: readonly PlainBand[]): Message[] {
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

export const job = (sheetsStacked = 0): Message => ({ kind: "job", jobKey, sheetsStacked, name: "test" });
export const sendAll = (rig: Rig, ...messages: Message[]): void =>
  messages.forEach((message) => rig.link.send(message));

const stackedSheets = (rig: Rig): number[] => rig.model.sheets.map((sheet) => sheet.sheetNumber);

/** The sheets in the tray are these, to the bit. */
export function expectPrinted(rig: Rig, ...sheets: (readonly PlainBand[])[]): void {
  expect(stackedSheets(rig)).toEqual(sheets.map((_, i) => i + 1));
  sheets.forEach((bands, i) => {
    for (const { colorant, yPx, bits } of bands) {
      const plane = rig.model.sheets[i]!.sides[0]!.planes.get(colorant)!;
      const printed = plane.subarray(yPx * strideBytes, yPx * strideBytes + bits.length);
      expect(Buffer.compare(printed, bits)).toBe(0);
    }
  });
}

export const sheets = [makeSheet(11), makeSheet(12), makeSheet(13)] as const;
export const allMessages = [
  job(),
  ...sheets.flatMap((bands, i) => sheetMessages(i + 1, bands)),
  { kind: "job-end" } as const,
];
export const isStacked = (rig: Rig, sheet: number) => () => rig.link.status?.sheetsStacked === sheet;

/** One page over a paced line, from the first byte to the sheet in the tray, in virtual time. */
import {
  bandMessages,
  type CodecName,
  digestBand,
  type Message,
  ownVersions,
  type PlainBand,
} from "../../hw/protocol/index.ts";
import { EngineModel } from "../../hw/src/index.ts";
import {
  FaultyLine,
  HostLink,
  type Mechanics,
  seededRandom,
  SimulatedEngine,
  simulatedCapabilities,
  simulatedCapacityBytes,
  VirtualClock,
} from "../../hw/src/link/index.ts";
import { bandsOf, stripRows } from "./codecs.ts";
import type { DotPage } from "./dots.ts";

export interface CrossingOptions {
  readonly codecs: readonly CodecName[];
  readonly mechanics: Mechanics;
  readonly feed: "pauses" | "whole-page";
  readonly bitErrorRate: number;
  /** Of the line's errors. */
  readonly seed: number;
  /** Blank strips go over the line too. */
  readonly blankStrips?: boolean;
}

export interface Crossing {
  readonly seconds: number;
  /** Times that the engine stood with a sheet in the path and nothing to print. */
  readonly starved: number;
  /** Of a frame, as the link has come to. */
  readonly payloadBytes: number;
}

const baudRateBps = 3_000_000;
const payloadBytes = 512;
const limitMs = 3_600_000;

function* allBands({ planes, strideBytes, heightPx }: DotPage): Generator<PlainBand> {
  for (let yPx = 0; yPx < heightPx; yPx += stripRows) {
    const rowsPx = Math.min(stripRows, heightPx - yPx);
    for (const { colorant, bits } of planes)
      yield { colorant, yPx, rowsPx, bits: bits.subarray(yPx * strideBytes, (yPx + rowsPx) * strideBytes) };
  }
}

export function cross(page: DotPage, options: CrossingOptions): Crossing {
  const { codecs, mechanics, feed, bitErrorRate, seed } = options;
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  const line = { baudRateBps, faults: { bitErrorRate } };
  const capabilities = { ...simulatedCapabilities, codecs, feed };
  const forth = new FaultyLine(clock, random, line, (bytes) => engine.receive(bytes));
  const back = new FaultyLine(clock, random, line, (bytes) => link.receive(bytes));
  const engine = new SimulatedEngine(
    new EngineModel(),
    clock,
    { ...ownVersions, bootId: 1, capabilities, mechanics, capacityBytes: simulatedCapacityBytes },
    (bytes) => back.send(bytes),
  );
  const link = new HostLink(
    { ...ownVersions, bootId: 2, firstSession: 1, payloadBytes, bytesUnderWay: baudRateBps / 100 },
    clock,
    (bytes) => forth.send(bytes),
  );
  const wait = (isSo: () => boolean): void => {
    if (!clock.runUntil(isSo, limitMs)) throw new Error("the page does not arrive");
  };
  const send = (message: Message): void => {
    wait(() => !link.isHeldUp);
    link.send(message);
  };
  link.opened();
  wait(() => link.isUp && link.status !== undefined);

  const startMs = clock.nowMs();
  const { widthPx, heightPx, strideBytes } = page;
  send({ kind: "job", jobKey: "00000000000000aa", sheetsStacked: 0, name: page.name });
  send({
    kind: "page",
    sheet: 1,
    side: "front",
    lastOfSheet: true,
    colorants: capabilities.colorants,
    resolutionDpi: 600,
    widthPx,
    heightPx,
    mediaWidthUm: 210_000,
    mediaHeightUm: 297_000,
    media: "iso_a4_210x297mm",
  });
  let digest = 0;
  for (const band of options.blankStrips ? allBands(page) : bandsOf(page)) {
    digest = digestBand(digest, band);
    // Made when there is room, as the driver does: frames get smaller on a line that loses many.
    wait(() => !link.isHeldUp);
    for (const message of bandMessages(band, strideBytes, capabilities, link.payloadBytes)) send(message);
  }
  send({ kind: "page-end", digest });
  wait(() => link.status?.sheetsStacked === 1);
  if (link.status?.stackedDigest !== digest) throw new Error("the page is not what was sent");
  return {
    seconds: (clock.nowMs() - startMs) / 1000,
    starved: engine.stats.starved,
    payloadBytes: link.payloadBytes,
  };
}

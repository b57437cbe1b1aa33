/** Both state machines, the device and the line together, in virtual time. */
import { describe, expect, test } from "vitest";
import {
  bandMessages,
  digestBand,
  encodeFrame,
  encodeHello,
  frameType,
  ownVersions,
} from "../../protocol/index.ts";
import { instantMechanics } from "./engine-device.ts";
import { type LineFaults } from "./faulty-line.ts";
import {
  makeRig,
  strideBytes,
  bandRows,
  makeSheet,
  sheetMessages,
  job,
  sendAll,
  expectPrinted,
  sheets,
  allMessages,
  isStacked,
} from "../testing/link-rig.ts";

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

  test.each([60, 300, 3000])(
    "of a host that stood still for %d ms is not taken for bad: it reads what came first",
    (stillMs) => {
      const bytes = [0, stillMs].map((ms) => {
        const rig = makeRig({ mechanics: { ...instantMechanics, rowsPerSecond: 800 } });
        rig.run(() => rig.link.isUp);
        sendAll(rig, ...allMessages);
        rig.runFor(100);
        rig.hostStandsStill(ms);
        rig.run(isStacked(rig, 3));
        expectPrinted(rig, ...sheets);
        expect(rig.events).not.toContainEqual({ kind: "lost" });
        return rig.toEngine.counts.bytes;
      });
      // But for PINGs.
      expect(bytes[1]! - bytes[0]!).toBeLessThan(200);
    },
  );

  test("of a host that stood still while the line was cut is greeted anew, and the job goes on", () => {
    const rig = makeRig();
    rig.run(() => rig.link.isUp);
    sendAll(rig, ...allMessages);
    rig.runFor(50);
    rig.toEngine.cut(4000);
    rig.toHost.cut(4000);
    rig.hostStandsStill(3000);
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

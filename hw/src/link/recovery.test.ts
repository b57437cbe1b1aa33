/** What becomes of a job when host or engine restart, when somebody cancels it, and when the engine stops. */
import { describe, expect, test } from "vitest";
import { encodeAbort, encodeFrame, frameType } from "../../protocol/index.ts";
import { instantMechanics } from "./engine-device.ts";
import {
  makeRig,
  type Rig,
  jobKey,
  sheetMessages,
  job,
  sendAll,
  expectPrinted,
  sheets,
  allMessages,
  isStacked,
} from "../testing/link-rig.ts";

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

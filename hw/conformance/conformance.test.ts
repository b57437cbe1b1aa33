/** One suite for every engine: simulated, in C under sanitizers, and in C on an emulated board. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildFirmware, emulatedBoard } from "../engine-fw/test/build.ts";
import { frameType } from "../protocol/index.ts";
import { EngineModel } from "../src/engine-model.ts";
import { instantMechanics } from "../src/link/engine-device.ts";
import { attachEngine } from "../src/link/join.ts";
import { type Line, processLine, ptyLine } from "../src/link/line.ts";
import { serialLine } from "../src/link/serial-line.ts";
import { attendedChecks } from "./checks/stops.ts";
import { checks } from "./checks.ts";
import { type Operator, panelOperator } from "./operator.ts";
import { NotConformant, RawHost } from "./raw-host.ts";
import { checkCount, type CheckResult, runConformance } from "./suite.ts";

/** Nothing here is about time: the machine may be doing other things. */
const busyMachine = { answerMs: 20_000, heartbeatMs: 20_000 };

async function conformance(line: Line, operator: Operator): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for await (const result of runConformance(line, { patience: busyMachine, operator })) results.push(result);
  return results;
}

function expectAllPassed(results: CheckResult[], operator: Operator, skipped: readonly string[] = []): void {
  const notPassed = results.filter(({ outcome }) => outcome !== "passed");
  expect(notPassed.map(({ name, outcome }) => `${outcome}: ${name}`)).toEqual(skipped);
  expect(results).toHaveLength(checkCount({ operator }));
}

/** Somebody at the simulated engine, which has no fuser. */
function modelOperator(model: EngineModel): Operator {
  return {
    bringAbout(stop) {
      if (stop === "fuser-over-temp") return Promise.resolve(false);
      model.fail(stop);
      return Promise.resolve(true);
    },
    seeTo: (stop) => Promise.resolve(stop === "fuser-over-temp" ? undefined : model.remedy(stop)),
    pressCancel() {
      model.pressCancel();
      return Promise.resolve(true);
    },
  };
}

async function withPty<T>(use: (engineEnd: Line, path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "platen-pty-"));
  try {
    const path = join(folder, "port");
    await using engineEnd = await ptyLine(path);
    return await use(engineEnd, path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe.concurrent("the conformance suite passes", { timeout: 120_000 }, () => {
  test("on the simulated engine, over a pseudo-terminal opened as a serial port", async () => {
    await withPty(async (engineEnd, path) => {
      const model = new EngineModel({ inkDots: 1e9 });
      const operator = modelOperator(model);
      using _engine = attachEngine(engineEnd, model, { mechanics: instantMechanics });
      await using line = await serialLine(path, 3_000_000);
      expectAllPassed(await conformance(line, operator), operator, [
        "skipped: stops for fuser-over-temp in mid-page, and goes on with that page when it is seen to",
      ]);
    });
  });

  test("on the C engine, under the address and undefined-behaviour sanitizers", async () => {
    await using build = await buildFirmware("posix-engine");
    await using line = await processLine(build.path, []);
    const operator = panelOperator(line.press);
    expectAllPassed(await conformance(line, operator), operator);
  });

  test("on the C engine on an emulated Cortex-M3 board", async () => {
    await using build = await buildFirmware("lm3s6965.elf");
    await using line = await processLine("qemu-system-arm", emulatedBoard(build.path));
    const operator = panelOperator(line.press);
    expectAllPassed(await conformance(line, operator), operator);
  });
});

test("an engine that does not hear ABORT fails the checks that abort, and only those", async () => {
  await withPty(async (engineEnd, path) => {
    using _engine = attachEngine(engineEnd, new EngineModel(), { mechanics: instantMechanics });
    await using port = await serialLine(path, 3_000_000);
    // The type follows the delimiter and COBS's first code.
    const line = { ...port, write: (bytes: Uint8Array) => bytes[2] !== frameType.abort && port.write(bytes) };
    const outcomes = new Map<string, unknown>();
    for (const check of checks.filter(({ name }) => name.includes("ABORT") || name.includes("HELLO"))) {
      const host = new RawHost(line, { answerMs: 2000, heartbeatMs: 1000 });
      outcomes.set(check.name, await check.run(host).catch((error: unknown) => error));
      host.stop();
    }
    const failed = [...outcomes]
      .filter(([, outcome]) => outcome instanceof NotConformant)
      .map(([name]) => name);
    expect(failed).toEqual(checks.map(({ name }) => name).filter((name) => name.includes("ABORT")));
    expect(failed.length).toBeGreaterThan(1);
  });
});

test("an engine that says the wrong reason fails the check of that stop, and only that: it is seen to all the same", async () => {
  await withPty(async (engineEnd, path) => {
    const model = new EngineModel({ inkDots: 1e9 });
    const { bringAbout, ...rest } = modelOperator(model);
    using _engine = attachEngine(engineEnd, model, { mechanics: instantMechanics });
    await using line = await serialLine(path, 3_000_000);
    const jammed: Operator = {
      ...rest,
      bringAbout: (stop) => bringAbout(stop === "media-empty" ? "media-jam" : stop),
      seeTo: (stop) => rest.seeTo(stop === "media-empty" ? "media-jam" : stop),
    };
    const outcomes = new Map<string, unknown>();
    for (const check of attendedChecks(jammed)) {
      const host = new RawHost(line, { answerMs: 200, heartbeatMs: 1000 });
      outcomes.set(check.name, await check.run(host).catch((error: unknown) => error));
      host.stop();
    }
    const failed = [...outcomes].filter(([, outcome]) => outcome instanceof Error);
    expect(failed.map(([name]) => name)).toEqual([expect.stringContaining("stops for media-empty")]);
    expect(failed[0]![1]).toMatchObject({ message: expect.stringContaining("media-empty") });
    expect(model.troubles).toEqual([]);
  });
});

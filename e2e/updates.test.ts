/** Updates from the operator's command to the version that runs on a board, with everything that can go wrong on the way. */
import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { JobState, type RegisteredPrinter, UpdatePhase } from "@platen/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../backend/src/cli/program.ts";
import { testKey } from "../firmware-node/src/updates/testing/bundles.ts";
import { platen, type TestBoard, testBoard } from "./support/board.ts";
import { history, submit } from "./support/jobs.ts";
import { pdf } from "./support/pdf.ts";
import { embeddedSystem, type TestSystem } from "./support/system.ts";

const printerId = "shed";
const page = pdf([{ widthPt: 72, heightPt: 72, content: "1 0 0 rg 10 10 40 40 re f" }]);

let system: TestSystem;
let board: TestBoard;

beforeAll(async () => {
  system = await embeddedSystem({ updateIntervalMs: 500 });
  board = await testBoard(printerId, system.controllerAddress);
  board.powerOn();
}, 60_000);
afterAll(async () => {
  await board?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
}, 30_000);

type Software = NonNullable<RegisteredPrinter["update"]>;

/** Resolves to what the printer says of its software when that is as wanted. */
async function software(wanted: (update: Software) => boolean): Promise<Software> {
  for (;;) {
    const { printers } = await system.intake.listPrinters({});
    const update = printers.find((one) => one.printerId === printerId)?.update;
    if (update && wanted(update)) return update;
    await delay(100);
  }
}

const runs = (version: string) =>
  software((update) => update.version === version && update.phase === UpdatePhase.UP_TO_DATE);
const rolledBack = (version: string) =>
  software((update) => update.targetVersion === version && update.phase === UpdatePhase.ROLLED_BACK);

/** `platen updates …`, in this process: a process of its own for each takes longer than what it does. */
async function updates(...args: string[]): Promise<void> {
  expect(await run(["updates", ...args, "--server", system.intakeAddress])).toBe(0);
}

/** Adds a version and offers it to every printer. */
async function rollOut(version: string, file: string): Promise<void> {
  await updates("add", file);
  await updates("rollout", version, "--channel", "stable", "--percent", "100");
}

async function prints(): Promise<void> {
  const { jobId } = await submit(system, printerId, page);
  await history(system, jobId);
  const { job } = await system.intake.getJob({ jobId });
  expect([job!.state, job!.mediaSheetsCompleted]).toEqual([JobState.COMPLETED, 1]);
}

const table = async (): Promise<string> =>
  (await platen("printers", "--server", system.intakeAddress)).output;

describe("a printer on a board", { timeout: 120_000 }, () => {
  test("changes to a good version, and prints before and after", async () => {
    await runs("1.0.0");
    await prints();
    await rollOut("1.1.0", await board.bundle("1.1.0"));
    await runs("1.1.0");
    await prints();
    expect(await table()).toMatch(/shed .* 1\.1\.0 /);
  });

  test.each([
    ["hangs", "1.2.0", "for (;;);", "hung: nothing was heard of it"],
    ["crashes at its start", "1.2.1", "throw new Error('broken');", "ended with code 1"],
  ])("goes back from a version that %s, and says why", async (_, version, main, reason) => {
    await rollOut(version, await board.bundle(version, main));
    const { message, version: running } = await rolledBack(version);
    expect([running, message]).toEqual(["1.1.0", expect.stringContaining(reason)]);
    expect(await table()).toContain(`1.1.0 (${version} rolled back: version ${version} ${reason}`);
    await prints();
  });

  test("does not try a version again that failed, unless it is asked to", async () => {
    const attempts = () => board.lines.filter((line) => line.includes("trying version 1.2.1")).length;
    const { starts } = await rolledBack("1.2.1");
    await delay(1500);
    expect([attempts(), (await rolledBack("1.2.1")).starts]).toEqual([1, starts]);
    await updates("rollout", "1.2.1", "--retry");
    await software((update) => update.starts > starts + 1n && update.phase === UpdatePhase.ROLLED_BACK);
    expect(attempts()).toBe(2);
    await updates("rollout", "1.2.1", "--stop");
  });

  test("refuses a bundle that nobody trusted has signed", async () => {
    await rollOut("1.3.0", await board.bundle("1.3.0", undefined, testKey("thief")));
    const { message } = await software(
      ({ phase, targetVersion }) => phase === UpdatePhase.REFUSED && targetVersion === "1.3.0",
    );
    expect(message).toContain("signature");
    await updates("rollout", "1.3.0", "--stop");
  });

  test("is not offered a bundle that is cut short: it is refused where it is added", async () => {
    const file = await board.bundle("1.3.1");
    await truncate(file, (await readFile(file)).length - 100);
    const { code, output } = await platen("updates", "add", file, "--server", system.intakeAddress);
    expect([code, output]).toEqual([expect.any(Number), expect.stringContaining("cut short")]);
    expect(code).not.toBe(0);
  });

  test("goes back to an earlier version with a permit, and not without", async () => {
    const file = await board.bundle("1.0.5");
    await rollOut("1.0.5", file);
    await delay(1500);
    expect((await software(() => true)).version).toBe("1.1.0");
    const [key, permit] = [join(board.folder, "release.pem"), join(board.folder, "permit")];
    await writeFile(key, testKey("release").export({ format: "pem", type: "pkcs8" }));
    const pair = ["--from", "1.1.0", "--bundle", file];
    expect(await run(["updates", "permit", ...pair, "--key", key, "--out", permit])).toBe(0);
    await updates("rollout", "1.0.5", "--permit", permit);
    await runs("1.0.5");
    await updates("rollout", "1.0.5", "--stop");
  });

  test("loses its power at any moment of an update, and still changes in the end", async () => {
    await rollOut("1.4.0", await board.bundle("1.4.0"));
    // Fixed, and spread over the download, the installation and the start of the new version.
    for (const ms of [150, 700, 1300, 2000]) {
      await delay(ms);
      await board.powerOff();
      board.powerOn();
    }
    // Printers in push mode ask in the same way.
    await board.powerOff();
    board.powerOn("--mode", "push");
    await runs("1.4.0");
    await prints();
  });
});

import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { watch } from "node:fs";
import { signDowngrade, signKeySet } from "@platen/proto/bundle";
import { describe, expect, test } from "vitest";
import { SystemLink } from "../../../../firmware-node/src/updates/system-link.ts";
import { releaseKey, rootKey, testKey } from "../../../../firmware-node/src/updates/testing/bundles.ts";
import { readBootState } from "./boot-state.ts";
import { type Downloaded, type TestBoard, testBoard } from "./testing.ts";

/** The printer's end, and what systemd does: it starts the service when there is a request. */
function printerOf(board: TestBoard) {
  const link = new SystemLink(board.folder, 10);
  const ask = async (...[asked]: Parameters<SystemLink["ask"]>): Promise<void> => {
    const requests = join(board.folder, "requests");
    const served = Promise.withResolvers<void>();
    const watcher = watch(requests, (_, name) => {
      if (name !== "request.json") return;
      watcher.close();
      board.service.serve().then(served.resolve, served.reject);
    });
    try {
      await link.ask(asked);
    } finally {
      await served.promise;
    }
  };
  const install = ({ sha256, payloadSha256 }: Downloaded, more: { permit?: string; attempt?: number } = {}) =>
    ask({ action: "install", sha256, payloadSha256, attempt: 1, channel: "stable", permit: "", ...more });
  const tryIt = ({ payloadSha256 }: Downloaded, attempt = 1) =>
    ask({ action: "try", payloadSha256, attempt });
  return { link, ask, install, tryIt };
}

const statusOf = async (board: TestBoard) => (await new SystemLink(board.folder).status())!;

/** A board on which 1.1.0 is to be tried at the next start. */
async function armed(board: TestBoard, attempt = 1): Promise<Downloaded> {
  const system = await board.download("1.1.0");
  const { install, tryIt } = printerOf(board);
  await install(system, { attempt });
  await tryIt(system, attempt);
  return system;
}

describe("a new system", () => {
  test("is written, tried once, kept when the printer says so, and is what starts from then on", async () => {
    await using board = await testBoard();
    expect(await statusOf(board)).toMatchObject({ version: "1.0.0", slot: "a", trial: false });
    await armed(board);
    expect(board.reboots).toBe(1);
    expect(await board.start()).toBe("b");
    expect(await statusOf(board)).toMatchObject({ version: "1.1.0", slot: "b", trial: true });
    await printerOf(board).ask({ action: "keep" });
    expect(board.said).toContain("clock stopped");
    expect(await statusOf(board)).toMatchObject({ trial: false, last: { outcome: "good" } });
    expect(await board.start()).toBe("b");
    expect(await statusOf(board)).toMatchObject({
      version: "1.1.0",
      trial: false,
      last: { outcome: "good" },
    });
  });

  test("that does not start gives way to the one before; one may have been a power cut, two have failed", async () => {
    await using board = await testBoard();
    const system = await armed(board);
    await board.start({ isCut: true });
    expect(await board.start()).toBe("a");
    const { last, failed } = await statusOf(board);
    expect([last?.outcome, last?.reason, failed]).toEqual([
      "interrupted",
      "system 1.1.0 did not start, or the board lost its power",
      {},
    ]);
    await armed(board);
    await board.start({ isCut: true });
    await board.start();
    expect((await statusOf(board)).failed[system.payloadSha256]).toMatchObject({ attempt: 1 });
    await expect(armed(board)).rejects.toThrow("failed here before: system 1.1.0 did not start");
    await armed(board, 2);
    expect(await board.start()).toBe("b");
  });

  test("that stops before it has proved itself says so, and the one before goes on", async () => {
    await using board = await testBoard();
    await armed(board);
    await board.start();
    expect(await board.start()).toBe("a");
    expect((await statusOf(board)).last?.reason).toMatch(
      /1\.1\.0 stopped, or .* before it had proved itself/,
    );
  });

  test.each([
    [["pattern", "engine"], "failed", "no pattern, no engine"],
    [["engine"], "interrupted", "no engine"],
    [[], "failed", ""],
  ] as const)("that is not healthy in time, lacking %j, has %s", async (missing, outcome, what) => {
    await using board = await testBoard();
    await armed(board);
    await board.start();
    await new SystemLink(board.folder).report(missing);
    await board.service.giveUp();
    expect(board.reboots).toBe(2);
    expect(await board.start()).toBe("a");
    const { last } = await statusOf(board);
    expect([last?.outcome, last?.reason]).toEqual([
      outcome,
      `system 1.1.0 was not healthy in time${what && `: ${what}`}`,
    ]);
  });

  test("that is kept is not given up any more, whatever comes in between", async () => {
    await using board = await testBoard();
    await armed(board);
    await board.start();
    // The power goes when it is kept, and before that is remembered.
    const before = await readFile(join(board.home, "updates.json"));
    await printerOf(board).ask({ action: "keep" });
    await board.service.giveUp();
    expect(board.reboots).toBe(1);
    await writeFile(join(board.home, "updates.json"), before);
    expect(await board.start()).toBe("b");
    expect((await statusOf(board)).last).toMatchObject({ version: "1.1.0", outcome: "good" });
  });

  test("that holds what the other slot holds under another version is written all the same", async () => {
    await using board = await testBoard();
    await armed(board);
    await board.start();
    const { ask } = printerOf(board);
    await ask({ action: "keep" });
    // Slot a holds 1.0.0; what comes now has the same files as 1.1.0, which runs, and then the same as slot a.
    for (const version of ["1.2.0", "1.3.0"]) {
      const system = await board.download(version, {}, releaseKey, "1.1.0");
      const printer = printerOf(board);
      await printer.install(system);
      await printer.tryIt(system);
      await board.start();
      expect(await statusOf(board)).toMatchObject({ version, trial: true });
      await printerOf(board).ask({ action: "keep" });
    }
  });

  test("is neither fetched nor tried while the one that runs is on trial", async () => {
    await using board = await testBoard();
    await armed(board);
    await board.start();
    const { install, tryIt } = printerOf(board);
    const next = await board.download("1.2.0");
    await expect(install(next)).rejects.toThrow("has not proved itself yet");
    await expect(tryIt(next)).rejects.toThrow("has not proved itself yet");
  });
});

describe("the system's service refuses", () => {
  const permit = (from: string, to: string) =>
    Buffer.from(signDowngrade({ from, to }, releaseKey)).toString("base64");

  test.each([
    ["what somebody else signed", "1.1.0", {}, testKey("thief"), /signature/],
    ["what is for another board", "1.1.0", { board: "toaster" }, releaseKey, /is for toaster/],
    ["what is for another channel", "1.1.0", { channels: ["beta"] }, releaseKey, /channel stable/],
    ["another system", "1.1.0", { name: "other" }, releaseKey, /another system than platen-system/],
    ["what runs already", "1.0.0", {}, releaseKey, /runs already/],
    ["a step back", "0.9.0", {}, releaseKey, /older than 1\.0\.0/],
  ])("%s", async (_, version, changes, key, message) => {
    await using board = await testBoard();
    const system = await board.download(version, changes, key);
    await expect(printerOf(board).install(system)).rejects.toThrow(message);
    expect(await readBootState(board.card)).toMatchObject({ slot: "a", trial: undefined });
  });

  test("a step back, unless a permit is for exactly this pair", async () => {
    await using board = await testBoard();
    const older = await board.download("0.9.0");
    const { install } = printerOf(board);
    for (const wrong of [permit("1.0.1", older.payloadSha256), permit("1.0.0", "f".repeat(64))]) {
      await expect(install(older, { permit: wrong })).rejects.toThrow("nobody allowed a step back");
    }
    await install(older, { permit: permit("1.0.0", older.payloadSha256) });
  });

  test("a bundle that was not offered, or that changed on the card after it came", async () => {
    await using board = await testBoard();
    const [system, other] = [await board.download("1.1.0"), await board.download("1.2.0")];
    const { install } = printerOf(board);
    await expect(install({ ...system, payloadSha256: other.payloadSha256 })).rejects.toThrow(
      "not what was offered",
    );
    const downloads = join(board.home, "../downloads");
    const file = join(downloads, `${system.sha256}.bundle`);
    const bytes = await readFile(file);
    bytes[bytes.length - 9]! ^= 4;
    await writeFile(file, bytes);
    await expect(install(system)).rejects.toThrow("damaged");
  });

  test("to start what is not whole in the other slot", async () => {
    await using board = await testBoard();
    const system = await board.download("1.1.0");
    const { install, tryIt } = printerOf(board);
    await expect(tryIt(system)).rejects.toThrow("not installed");
    await install(system);
    await rm(join(board.home, "../boot/b/vmlinuz"));
    await expect(tryIt(system)).rejects.toThrow("not installed");
    expect([board.reboots, (await readBootState(board.card)).trial]).toEqual([0, undefined]);
  });

  test("a key set that the one it has does not vouch for; it takes one that follows", async () => {
    await using board = await testBoard();
    const { ask, install } = printerOf(board);
    const [thief, next] = [testKey("thief"), testKey("release-2")];
    const set = (release: typeof thief, signer: typeof thief) =>
      Buffer.from(signKeySet({ number: 2, root: [signer], release: [release] }, [signer])).toString("base64");
    await expect(ask({ action: "trust", keySet: set(thief, thief) })).rejects.toThrow("root key");
    const system = await board.download("1.1.0", {}, next);
    await expect(install(system)).rejects.toThrow("signature");
    await ask({ action: "trust", keySet: set(next, rootKey) });
    await install(system);
  });

  test("requests that are none, and follows no link that the printer has put in their place", async () => {
    await using board = await testBoard();
    const request = join(board.folder, "requests/request.json");
    const keep = JSON.stringify({ action: "keep", id: "1" });
    await writeFile(join(board.folder, "elsewhere"), keep);
    const puts = [
      () => writeFile(request, "{"),
      () => writeFile(request, JSON.stringify({ action: "format", id: "1" })),
      () => writeFile(request, keep + " ".repeat(200_000)),
      () => symlink("../elsewhere", request),
    ];
    for (const put of puts) {
      await put();
      await board.service.serve();
      expect(board.said.at(-1)).toBe("a request is none");
    }
    expect((await statusOf(board)).answer).toBeUndefined();
    await mkdir(request);
    await expect(board.service.serve()).rejects.toThrow();
  });
});

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Board } from "./board.ts";
import { packBundle } from "./bundle.ts";
import { launch } from "./launcher.ts";
import type { State } from "./state.ts";
import { appManifest, keySetBytes, makeTree, releaseKey, tempFolder } from "./testing/bundles.ts";

const say = (message: object) => `process.send(${JSON.stringify(message)});`;
const alive = say({ platen: "alive" });
const missing = (...checks: string[]) => say({ platen: "health", missing: checks });
const stay = "setInterval(() => {}, 1000);";
/** Waits for the launcher's word to end, and ends as told. */
const good = `${alive} ${missing()} ${stay} process.on("SIGTERM", () => process.exit(0));`;

const here = { board: "linux-test", channel: undefined };

/** A board that runs 1.0.0, by default a good app, and is about to try 1.1.0, which does what `main` says. */
async function trialOf(
  folder: string,
  main: string,
  runtimeVersion = process.versions.node,
  first = good,
): Promise<Board> {
  const board = new Board(join(folder, "board"));
  await board.prepare(keySetBytes);
  for (const [version, text] of [
    ["1.0.0", first],
    ["1.1.0", main],
  ] as const) {
    const tree = join(folder, version);
    await makeTree(tree, { "main.js": text });
    const file = `${tree}.bundle`;
    const node = version === "1.0.0" ? process.versions.node : runtimeVersion;
    const manifest = appManifest(version, { runtime: { version: node, sha256: "0".repeat(64) } });
    await packBundle({ folder: tree, manifest, privateKey: releaseKey, file, level: 1 });
    const { payload } = await board.install(file, here);
    if (version === "1.0.0") await board.adopt();
    else await board.askTrial(payload.sha256);
  }
  return board;
}

/** Runs the launcher until it has said something that matches. Resolves to all that it said. */
async function launchUntil(
  board: Board,
  wanted: Pick<RegExp, "test">,
  limits: { trial?: number; silence?: number; isSystemOnTrial?: () => Promise<boolean> } = {},
) {
  const stop = new AbortController();
  const lines: string[] = [];
  await launch(
    {
      board,
      args: [],
      node: process.execPath,
      env: { PATH: "" },
      trialLimitMs: limits.trial ?? 60_000,
      silenceLimitMs: limits.silence ?? 60_000,
      stopLimitMs: 5000,
      restartDelayMs: 10,
      ...(limits.isSystemOnTrial && { isSystemOnTrial: limits.isSystemOnTrial }),
      log: (line) => {
        lines.push(line);
        if (wanted.test(line)) stop.abort();
      },
    },
    stop.signal,
  );
  return lines;
}

test("a version that is healthy stays", async () => {
  await using folder = await tempFolder();
  const board = await trialOf(folder.path, good);
  expect(await launchUntil(board, /stays/)).toEqual([
    "trying version 1.1.0",
    "version 1.1.0 is healthy and stays",
  ]);
  expect((await board.current())?.manifest.version).toBe("1.1.0");
});

test.each([
  ["that cannot even be read", "this is no JavaScript", "ended with code 1"],
  ["that crashes at its start", "throw new Error('no')", "ended with code 1"],
  ["that ends without a word", `${alive}`, "ended with code 0"],
  ["that is killed", `${alive} process.kill(process.pid, "SIGKILL");`, "was ended by SIGKILL"],
])("a version %s makes room for the one before, and it is said why", async (_, main, reason) => {
  await using folder = await tempFolder();
  const board = await trialOf(folder.path, main);
  const lines = await launchUntil(board, /starting version 1.0.0/);
  expect(lines).toEqual([
    "trying version 1.1.0",
    `version 1.1.0 ${reason}: back to the one before`,
    "starting version 1.0.0",
  ]);
  expect((await board.state()).last).toEqual({
    version: "1.1.0",
    outcome: "failed",
    reason: `version 1.1.0 ${reason}`,
  });
});

test("a version that hangs is ended, though it does not want to be", async () => {
  await using folder = await tempFolder();
  const board = await trialOf(folder.path, `${alive} process.on("SIGTERM", () => {}); for (;;);`);
  const lines = await launchUntil(board, /starting version 1.0.0/, { silence: 1000 });
  expect(lines[1]).toContain("hung: nothing was heard of it for 1 s");
  expect((await board.state()).last?.outcome).toBe("failed");
});

test("a version that lives but cannot print is not kept", async () => {
  await using folder = await tempFolder();
  const board = await trialOf(folder.path, `${alive} ${missing("backend", "pattern")} ${stay}`);
  const lines = await launchUntil(board, /starting version 1.0.0/, { trial: 1500 });
  expect(lines[1]).toContain("was not healthy after 1.5 s: no backend, no pattern");
  expect((await board.state()).last?.outcome).toBe("failed");
});

test("a version is not blamed for a backend that cannot be reached: it may be tried again", async () => {
  await using folder = await tempFolder();
  const board = await trialOf(folder.path, `${alive} ${missing("backend")} ${stay}`);
  await launchUntil(board, /starting version 1.0.0/, { trial: 1500 });
  expect((await board.state()).last?.outcome).toBe("interrupted");
});

test("a version whose runtime the board does not have is not started", async () => {
  await using folder = await tempFolder();
  const board = await trialOf(folder.path, good, "99.0.0");
  const lines = await launchUntil(board, /starting version 1.0.0/);
  expect(lines[1]).toContain("needs Node 99.0.0");
});

test("an app that asks for it is started again: the version that it installed is tried", async () => {
  await using folder = await tempFolder();
  // Kept at its first start, asks at its second.
  const asks = `${alive} if (process.env.PLATEN_TRIAL) { ${missing()} } process.exitCode = 75;`;
  const board = await trialOf(folder.path, asks);
  const lines = await launchUntil(board, /starting version/);
  expect(lines).toEqual([
    "trying version 1.1.0",
    "version 1.1.0 is healthy and stays",
    "starting version 1.1.0",
  ]);
});

/** Passes its trial, and asks to be started anew; from then on it ends as told. */
const onTrialOnly = (later: string): string =>
  `${alive} if (process.env.PLATEN_TRIAL) { ${missing()} process.exitCode = 75; } else { ${later} }`;
const often = "ended with code 9, the 5th time in a row";

test("a version that passed its trial and keeps crashing later is given up for the one before", async () => {
  await using folder = await tempFolder();
  const board = await trialOf(folder.path, onTrialOnly("process.exit(9);"));
  const lines = await launchUntil(board, /starting version 1.0.0/);
  const restarts = Array.from({ length: 5 }, () => [
    "starting version 1.1.0",
    "version 1.1.0 ended with code 9",
  ]);
  expect(lines).toEqual([
    "trying version 1.1.0",
    "version 1.1.0 is healthy and stays",
    ...restarts.flat(),
    `version 1.1.0 ${often}: back to version 1.0.0`,
    "starting version 1.0.0",
  ]);
  expect((await board.current())?.manifest.version).toBe("1.0.0");
  const { last } = await board.state();
  expect(last).toEqual({ version: "1.1.0", outcome: "failed", reason: `version 1.1.0 ${often}` });
  // The offer of it still stands.
  await expect(board.install(join(folder.path, "1.1.0.bundle"), here)).rejects.toThrow("failed here before");
});

test("a version that crashes on a system on trial is not blamed: it is judged once the system is", async () => {
  await using folder = await tempFolder();
  const board = await trialOf(folder.path, onTrialOnly("process.exit(9);"));
  let asked = 0;
  const lines = await launchUntil(board, /back to version/, { isSystemOnTrial: async () => ++asked < 3 });
  expect(asked).toBe(3);
  expect(lines.at(-1)).toContain("the 7th time in a row: back to version 1.0.0");
});

test("two versions that crash do not take turns", async () => {
  await using folder = await tempFolder();
  const crashes = `${alive} process.exit(9);`;
  const board = await trialOf(folder.path, onTrialOnly("process.exit(9);"), undefined, crashes);
  let starts = 0;
  const lines = await launchUntil(board, {
    test: (line) => /starting version 1.0.0/.test(line) && ++starts === 7,
  });
  expect(lines.filter((line) => line.includes("back to version"))).toHaveLength(1);
  expect(lines.at(-1)).toBe("starting version 1.0.0");
});

test("a version is not given up for what another one would not change, nor for one that never ran", async () => {
  await using folder = await tempFolder();
  const refused = await trialOf(folder.path, onTrialOnly("process.exit(2);"));
  let starts = 0;
  const sixth = { test: (line: string) => /starting version 1.1.0/.test(line) && ++starts === 6 };
  await launchUntil(refused, sixth);
  expect((await refused.current())?.manifest.version).toBe("1.1.0");

  // What was before has made room for another version, which nobody has tried.
  const file = join(folder.path, "1.2.0.bundle");
  const tree = { folder: join(folder.path, "1.1.0"), manifest: appManifest("1.2.0"), privateKey: releaseKey };
  await packBundle({ ...tree, file, level: 1 });
  await refused.install(file, here);
  expect(await refused.goBack("it crashes")).toBeUndefined();
  expect((await refused.current())?.manifest.version).toBe("1.1.0");
});

/** A board on which 1.1.0 has passed its trial. */
async function keptOn(folder: string, later: string): Promise<Board> {
  const board = await trialOf(folder, onTrialOnly(later));
  await launchUntil(board, /stays/);
  return board;
}

test("a version whose bad ends take the launcher with them is given up too", async () => {
  await using folder = await tempFolder();
  const board = await keptOn(folder.path, stay);
  // Launchers that systemd's watchdog ends with all that they started.
  for (let i = 0; i < 5; i++) expect((await board.next()).slot.manifest.version).toBe("1.1.0");
  const lines = await launchUntil(board, /starting version/);
  expect(lines).toEqual([
    "version 1.1.0 ended, and the launcher with it, the 5th time in a row: back to version 1.0.0",
    "starting version 1.0.0",
  ]);
});

test("that the launcher was told to stop is not held against what it runs", async () => {
  await using folder = await tempFolder();
  const board = await keptOn(folder.path, stay);
  for (let i = 0; i < 7; i++)
    expect(await launchUntil(board, /starting/)).toEqual(["starting version 1.1.0"]);
});

test("nor where the app takes so long to end that both are killed: it is noted before", async () => {
  await using folder = await tempFolder();
  const copy = join(folder.path, "state-at-end.json");
  const onEnd = `require("fs").copyFileSync(process.env.PLATEN_BOARD + "/state.json", ${JSON.stringify(copy)})`;
  const ending = `process.on("SIGTERM", () => { ${onEnd}; process.exit(0); });`;
  await launchUntil(await trialOf(folder.path, `${ending} ${alive} ${missing()} ${stay}`), /stays/);
  const state = JSON.parse(await readFile(copy, "utf8")) as State;
  expect(state.settled).toBeDefined();
  expect(state.running).toBeUndefined();
});

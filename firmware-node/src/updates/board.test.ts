import { readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Board, type InstallOptions } from "./board.ts";
import { packBundle, verifyBundle } from "./bundle.ts";
import { type Disk, disk, diskError, exists } from "./disk.ts";
import { signKeySet } from "@platen/proto/bundle";
import type { ManifestInput } from "@platen/proto/bundle";
import {
  appManifest,
  keySetBytes,
  makeTree,
  releaseKey,
  rootKey,
  tempFolder,
  testKey,
} from "./testing/bundles.ts";

const here: InstallOptions = { board: "linux-test", channel: "stable" };

async function bundleOf(folder: string, version: string, changes: Parameters<typeof appManifest>[1] = {}) {
  const tree = join(folder, `tree-${version}`);
  const manifest: ManifestInput = appManifest(version, changes);
  await makeTree(tree, { "main.js": `console.log(${JSON.stringify(version)})`, "lib/a.txt": "a" });
  const file = join(folder, `${version}-${Object.values(changes).join("")}.bundle`);
  await packBundle({ folder: tree, manifest, privateKey: releaseKey, file, level: 1 });
  return file;
}

async function runtimeOf(folder: string) {
  const tree = join(folder, "node");
  await makeTree(tree, { "bin/node": "#!/bin/sh\n" });
  const file = join(folder, "runtime.bundle");
  const { runtime: _, ...common } = appManifest("24.0.0") as Extract<ManifestInput, { kind: "app" }>;
  const manifest: ManifestInput = { ...common, kind: "runtime", name: "node", main: "bin/node" };
  const { payload } = await packBundle({ folder: tree, manifest, privateKey: releaseKey, file });
  return { file, payload };
}

/** A board that runs 1.0.0. */
async function newBoard(folder: string, first?: string): Promise<Board> {
  const board = new Board(join(folder, "board"));
  await board.prepare(keySetBytes);
  await board.install(first ?? (await bundleOf(folder, "1.0.0")), here);
  await board.adopt();
  return board;
}

/** Installs it and asks for its trial. */
async function installForTrial(board: Board, file: string, options = here): Promise<void> {
  const { payload } = await board.install(file, options);
  await board.askTrial(payload.sha256, options.attempt);
}

const versionOf = async (board: Board): Promise<[string, boolean]> => {
  const { slot, trial } = await board.next();
  return [slot.manifest.version, trial];
};

describe("a board", () => {
  test("tries a new version once, and keeps it when it is good", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const { payload } = await board.install(await bundleOf(folder.path, "1.1.0"), here);
    expect(await versionOf(board)).toEqual(["1.0.0", false]);
    await board.askTrial(payload.sha256);
    expect(await versionOf(board)).toEqual(["1.1.0", true]);
    await board.judge("good", "");
    expect(await versionOf(board)).toEqual(["1.1.0", false]);
    expect(await board.state()).toMatchObject({ starts: 3, last: { version: "1.1.0", outcome: "good" } });
  });

  test("takes versions one after the other, also where their bytes are the same", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const tree = join(folder.path, "same");
    await makeTree(tree, { "main.js": "" });
    for (const version of ["1.1.0", "1.2.0", "1.3.0"]) {
      const file = join(folder.path, `same-${version}.bundle`);
      await packBundle({ folder: tree, manifest: appManifest(version), privateKey: releaseKey, file });
      await installForTrial(board, file);
      expect(await versionOf(board)).toEqual([version, true]);
      await board.judge("good", "");
      expect(await versionOf(board)).toEqual([version, false]);
    }
  });

  test("goes back to the one before when a new version fails, and does not take it again unless asked", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const file = await bundleOf(folder.path, "1.1.0");
    await installForTrial(board, file);
    await board.next();
    await board.judge("failed", "it crashed");
    expect(await versionOf(board)).toEqual(["1.0.0", false]);
    await expect(board.install(file, here)).rejects.toThrow("failed here before: it crashed");
    await installForTrial(board, file, { ...here, attempt: 2 });
    expect(await versionOf(board)).toEqual(["1.1.0", true]);
    await board.judge("failed", "again");
    await expect(board.install(file, { ...here, attempt: 2 })).rejects.toThrow("again");
  });

  test("goes back when the power went during the trial; after the third time it leaves the version alone", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const file = await bundleOf(folder.path, "1.1.0");
    for (let i = 0; i < 3; i++) {
      await installForTrial(board, file);
      expect(await versionOf(board)).toEqual(["1.1.0", true]);
      expect(await versionOf(new Board(board.root))).toEqual(["1.0.0", false]);
      expect((await board.state()).last?.outcome).toBe("interrupted");
    }
    await expect(board.install(file, here)).rejects.toThrow("lost its power");
  });

  test.each([
    ["for another board", "1.1.0", { board: "linux-other" }, "is for linux-other"],
    ["of another channel", "1.1.0", { channels: ["beta"] }, "not for the channel stable"],
    ["of an earlier version: an old bundle played again", "0.9.0", {}, "nobody allowed a step back"],
    ["of a version that comes before", "1.0.0-beta.1", {}, "nobody allowed"],
    ["of the version that runs", "1.0.0", {}, "what runs already"],
    ["of another program", "1.1.0", { name: "other" }, "another program"],
  ])("refuses a bundle %s", async (_, version, changes, message) => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const file = await bundleOf(folder.path, version, changes);
    await expect(board.install(file, here)).rejects.toThrow(message);
    expect(await versionOf(board)).toEqual(["1.0.0", false]);
  });

  test("takes an earlier version when somebody allows it", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    await installForTrial(board, await bundleOf(folder.path, "0.9.0"), { ...here, downgrade: "any" });
    expect(await versionOf(board)).toEqual(["0.9.0", true]);
  });

  test("takes an earlier version by a permit for it alone", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const file = await bundleOf(folder.path, "0.9.0");
    const { payload } = (await verifyBundle(file, await board.keys())).manifest;
    const permit = { format: 1, from: "1.0.0", to: payload.sha256 } as const;
    for (const downgrade of [
      { ...permit, from: "1.1.0" },
      { ...permit, to: "0".repeat(64) },
    ]) {
      await expect(board.install(file, { ...here, downgrade })).rejects.toThrow("nobody allowed");
    }
    await installForTrial(board, file, { ...here, downgrade: permit });
    expect(await versionOf(board)).toEqual(["0.9.0", true]);
  });

  test("tries nothing but what was installed last", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const { payload } = (await board.current())!.manifest;
    await expect(board.askTrial(payload.sha256)).rejects.toMatchObject({ code: "update-refused" });
    await board.install(await bundleOf(folder.path, "1.1.0"), here);
    await expect(board.askTrial(payload.sha256)).rejects.toMatchObject({ code: "update-refused" });
    expect(await versionOf(board)).toEqual(["1.0.0", false]);
  });

  test("keeps runtimes that its versions need, and no others", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const { file, payload } = await runtimeOf(folder.path);
    await board.install(file, here);
    expect(await board.runtime(payload.sha256)).toBe(
      join(board.root, "runtimes", payload.sha256, "bin/node"),
    );
    const needs = { runtime: { version: "24.0.0", sha256: payload.sha256 } };
    await board.install(await bundleOf(folder.path, "1.1.0", needs), here);
    await board.sweepRuntimes();
    expect(await board.runtime(payload.sha256)).toBeDefined();
    await board.install(await bundleOf(folder.path, "1.2.0"), here);
    await board.sweepRuntimes();
    expect(await readdir(join(board.root, "runtimes"))).toEqual([]);
  });

  test("starts the slot that is whole when the link to the current one is gone", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    await rm(join(board.root, "current"));
    await writeFile(join(board.root, "state.json"), "noise");
    expect(await versionOf(board)).toEqual(["1.0.0", false]);
  });
});

describe("keys", () => {
  const nextRelease = testKey("release-2");
  const rotated = signKeySet({ number: 2, root: [rootKey], release: [nextRelease] }, [rootKey]);

  test("a new key set takes the old release key's place, and is not undone by the old set", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const old = await bundleOf(folder.path, "1.1.0");
    await board.rotateKeys(rotated);
    await expect(board.install(old, here)).rejects.toThrow("not trusted");
    await expect(board.rotateKeys(keySetBytes)).rejects.toThrow("out of date");
    const file = join(folder.path, "new.bundle");
    const manifest = appManifest("1.1.0");
    await packBundle({ folder: join(folder.path, "tree-1.1.0"), manifest, privateKey: nextRelease, file });
    await board.install(file, here);
  });

  test("root keys are replaced by a set that both the old and the new one sign", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const newRoot = testKey("root-2");
    const set = { number: 2, root: [newRoot], release: [releaseKey] };
    await expect(board.rotateKeys(signKeySet(set, [newRoot]))).rejects.toThrow("no root key that is trusted");
    await expect(board.rotateKeys(signKeySet(set, [rootKey]))).rejects.toThrow("no root key of the key set");
    await board.rotateKeys(signKeySet(set, [rootKey, newRoot]));
    expect((await board.keys()).number).toBe(2);
  });

  test("a release key signs no key set", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    const thief = testKey("thief");
    const forged = signKeySet({ number: 2, root: [thief], release: [thief] }, [thief, releaseKey]);
    await expect(board.rotateKeys(forged)).rejects.toMatchObject({ code: "update-invalid" });
  });
});

/** Does so many steps, then none: the power is gone. */
function failingAfter(steps: number, failure: () => Error): { disk: Disk; done: () => number } {
  let done = 0;
  const one =
    <A extends unknown[]>(work: (...args: A) => Promise<void>) =>
    async (...args: A): Promise<void> => {
      if (done >= steps) throw diskError(failure());
      done++;
      await work(...args);
    };
  return {
    done: () => done,
    disk: {
      makeFolder: one(disk.makeFolder),
      writeFile: one(disk.writeFile),
      link: one(disk.link),
      rename: one(disk.rename),
      unlink: one(disk.unlink),
      removeTree: one(disk.removeTree),
      syncFolder: one(disk.syncFolder),
      freeBytes: disk.freeBytes,
    },
  };
}

describe("the power cut at every step of an update", () => {
  test("leaves the old version or the new one, whole, and the update can be done again", async () => {
    await using folder = await tempFolder();
    const next = await bundleOf(folder.path, "1.1.0");
    const first = await bundleOf(folder.path, "1.0.0");
    const seen = new Set<string>();
    for (let steps = 0, over = false; !over; steps++) {
      const work = join(folder.path, String(steps));
      await makeTree(work, {});
      const { root } = await newBoard(work, first);
      const { disk, done } = failingAfter(steps, () => new Error("the power is gone"));
      const cut = new Board(root, disk);
      try {
        await installForTrial(cut, next);
        await cut.next();
        await cut.judge("good", "");
      } catch (error) {
        expect(String(error)).toContain("the power is gone");
      }
      // It may have gone on without its disk, but nothing more was written.
      over = done() < steps;
      const [version, trial] = await versionOf(new Board(root));
      expect(["1.0.0", "1.1.0"]).toContain(version);
      seen.add(`${version}${trial ? " on trial" : ""}`);
      // What starts has all of its files.
      const target = join(root, "slots", (await new Board(root).current())!.name);
      expect((await readdir(target, { recursive: true })).sort()).toEqual(["lib", "lib/a.txt", "main.js"]);
      if (version === "1.0.0") {
        const again = new Board(root);
        await installForTrial(again, next);
        expect(await versionOf(again)).toEqual(["1.1.0", true]);
      }
      await rm(work, { recursive: true });
    }
    expect([...seen].sort()).toEqual(["1.0.0", "1.1.0", "1.1.0 on trial"]);
  });
});

test("the power cut while a runtime is removed leaves none that passes for whole", async () => {
  await using folder = await tempFolder();
  const { root } = await newBoard(folder.path);
  const { file, payload } = await runtimeOf(folder.path);
  for (let steps = 0, over = false; !over; steps++) {
    await new Board(root).install(file, here);
    const { disk: cut } = failingAfter(steps, () => new Error("the power is gone"));
    // What a folder loses first, nobody knows.
    const removeTree = async (path: string): Promise<void> => {
      if (await exists(path)) await rm(join(path, "bin"), { recursive: true, force: true }).catch(() => {});
      await cut.removeTree(path);
    };
    over = await new Board(root, { ...cut, removeTree }).sweepRuntimes().then(
      () => true,
      () => false,
    );
    const main = await new Board(root).runtime(payload.sha256);
    if (main) expect(await exists(main)).toBe(true);
  }
  expect(await readdir(join(root, "runtimes"))).toEqual([]);
});

describe("a full disk at every step of an update", () => {
  test("leaves the running version as it is, says why, and takes no space", async () => {
    await using folder = await tempFolder();
    const next = await bundleOf(folder.path, "1.1.0");
    const { root } = await newBoard(folder.path);
    for (let steps = 0; ; steps++) {
      let full = false;
      const { disk: writing } = failingAfter(steps, () =>
        Object.assign(new Error("full"), { code: "ENOSPC" }),
      );
      const noSpace =
        <A extends unknown[]>(work: (...args: A) => Promise<void>) =>
        (...args: A): Promise<void> =>
          work(...args).catch((error: unknown) => {
            full = true;
            throw error;
          });
      // Only what takes space can fail so.
      const partly: Disk = {
        ...disk,
        makeFolder: noSpace(writing.makeFolder),
        writeFile: noSpace(writing.writeFile),
      };
      const work = new Board(root, partly).install(next, here);
      const code = await work.then(
        () => "installed",
        (error: { code: string }) => error.code,
      );
      expect(await versionOf(new Board(root))).toEqual(["1.0.0", false]);
      if (!full) {
        expect(code).toBe("installed");
        return;
      }
      expect(code).toBe("disk-full");
      expect(await readlink(join(root, "current"))).toBe("slots/a");
      expect((await readdir(join(root, "slots"))).sort()).toEqual(["a", "a.json"]);
    }
  });
});

test("a trial that a full disk has no space to remember does not begin: it could begin for ever", async () => {
  await using folder = await tempFolder();
  const { root } = await newBoard(folder.path);
  await installForTrial(new Board(root), await bundleOf(folder.path, "1.1.0"));
  const noSpace = () => Promise.reject(diskError(Object.assign(new Error("full"), { code: "ENOSPC" })));
  expect(await versionOf(new Board(root, { ...disk, writeFile: noSpace }))).toEqual(["1.0.0", false]);
  expect(await versionOf(new Board(root))).toEqual(["1.0.0", false]);
});

test("a trial for which there would be no space is not asked for", async () => {
  await using folder = await tempFolder();
  const { root } = await newBoard(folder.path);
  const narrow = new Board(root, { ...disk, freeBytes: () => Promise.resolve(100_000) });
  const next = await bundleOf(folder.path, "1.1.0");
  await expect(installForTrial(narrow, next)).rejects.toMatchObject({ code: "disk-full" });
  expect(await versionOf(new Board(root))).toEqual(["1.0.0", false]);
});

/** A disk on which nothing can be written any more. */
const worn = failingAfter(0, () => Object.assign(new Error("read-only file system"), { code: "EROFS" })).disk;

/** A board that runs 1.1.0, in slot b, and has 1.0.0 in the other. */
async function updatedBoard(folder: string): Promise<Board> {
  const board = await newBoard(folder);
  await installForTrial(board, await bundleOf(folder, "1.1.0"));
  await board.next();
  await board.judge("good", "");
  return board;
}

test("a version that ends in order has not ended badly, though a full disk remembers nothing", async () => {
  await using folder = await tempFolder();
  const { root } = await updatedBoard(folder.path);
  await new Board(root).next({ boot: "first", atS: 10 });
  const board = new Board(root, worn);
  for (let atS = 20; atS < 30; atS++) {
    await board.endedInOrder();
    expect((await board.next({ boot: "first", atS })).badEnds).toBe(0);
  }
  expect((await board.next({ boot: "first", atS: 30 })).badEnds).toBe(1);
});

describe("a card that has become read-only", () => {
  test("keeps the version that runs from nothing", async () => {
    await using folder = await tempFolder();
    const { root } = await updatedBoard(folder.path);
    expect(await versionOf(new Board(root, worn))).toEqual(["1.1.0", false]);
    expect(await new Board(root, worn).goBack("it crashes")).toBeUndefined();
    await rm(join(root, "slots/b/main.js"));
    expect(await versionOf(new Board(root, worn))).toEqual(["1.0.0", false]);
  });

  test("keeps a trial from beginning: it could begin for ever", async () => {
    await using folder = await tempFolder();
    const board = await newBoard(folder.path);
    await installForTrial(board, await bundleOf(folder.path, "1.1.0"));
    expect(await versionOf(new Board(board.root, worn))).toEqual(["1.0.0", false]);
    // It could be written to at first: the trial is remembered, but not taken off the board.
    const broken = { ...disk, unlink: worn.unlink };
    expect(await versionOf(new Board(board.root, broken))).toEqual(["1.0.0", false]);
    expect(await versionOf(board)).toEqual(["1.1.0", true]);
  });
});

test("what is started instead of a damaged version is safe from updates, and from earlier versions", async () => {
  await using folder = await tempFolder();
  const board = await updatedBoard(folder.path);
  await rm(join(board.root, "slots/b/main.js"));
  expect(await versionOf(board)).toEqual(["1.0.0", false]);
  await expect(board.install(await bundleOf(folder.path, "0.9.0"), here)).rejects.toThrow("a step back");
  await installForTrial(board, await bundleOf(folder.path, "1.2.0"));
  expect(await versionOf(board)).toEqual(["1.2.0", true]);
});

test("a trial of what the launcher cannot read has failed, and is not asked for again", async () => {
  await using folder = await tempFolder();
  const board = await newBoard(folder.path);
  const file = await bundleOf(folder.path, "1.1.0");
  await installForTrial(board, file);
  const manifest = join(board.root, "slots/b.json");
  const text = await readFile(manifest, "utf8");
  await writeFile(manifest, JSON.stringify({ ...JSON.parse(text), ofLaterTimes: 1 }));
  expect(await versionOf(board)).toEqual(["1.0.0", false]);
  const reason = "the launcher of this board cannot read version 1.1.0";
  expect((await board.state()).last).toEqual({ version: "1.1.0", outcome: "failed", reason });
  await writeFile(manifest, text);
  expect(await versionOf(board)).toEqual(["1.0.0", false]);
  await expect(board.install(file, here)).rejects.toThrow(reason);
});

test("a version's bad ends are counted: soon after a start, in a row, while the board stays on", async () => {
  await using folder = await tempFolder();
  const board = await updatedBoard(folder.path);
  const badEnds = async (boot: string, atS: number) => (await board.next({ boot, atS })).badEnds;
  expect(await badEnds("first", 10)).toBe(0);
  expect(await badEnds("first", 20)).toBe(1);
  expect(await badEnds("first", 619)).toBe(2);
  // It ran for ten minutes.
  expect(await badEnds("first", 1219)).toBe(0);
  expect(await badEnds("first", 1220)).toBe(1);
  await board.endedInOrder();
  expect(await badEnds("first", 1221)).toBe(0);
  expect(await badEnds("first", 1222)).toBe(1);
  // The power went.
  expect(await badEnds("second", 1223)).toBe(0);
  expect(await badEnds("second", 1224)).toBe(1);
  await board.goBack("it crashes");
  expect(await badEnds("second", 1225)).toBe(0);
});

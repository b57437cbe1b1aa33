import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type CheckForUpdateResponse,
  PlatenError,
  PrinterStatusSchema,
  PrinterUpdateService,
  UpdatePhase,
} from "@platen/proto";
import { type ManifestInput, signDowngrade, signKeySet } from "@platen/proto/bundle";
import { describe, expect, test } from "vitest";
import { Board } from "./board.ts";
import { packBundle } from "./bundle.ts";
import { disk, diskError } from "./disk.ts";
import type { Check } from "./supervised.ts";
import {
  appManifest,
  keySetBytes,
  makeTree,
  offeredFrom,
  releaseKey,
  rootKey,
  tempFolder,
  testKey,
} from "./testing/bundles.ts";
import { untilNextMs, Updater, type UpdaterOptions } from "./updater.ts";

/** A bundle that is larger than a few writes, and how a backend offers it. */
async function bundleOf(folder: string, version: string, privateKey = releaseKey) {
  const tree = join(folder, version);
  const ballast = crypto.getRandomValues(new Uint8Array(60_000));
  await makeTree(tree, { "main.js": "", "ballast.bin": ballast });
  const file = `${tree}.bundle`;
  const manifest = appManifest(version);
  return offeredFrom(file, await packBundle({ folder: tree, manifest, privateKey, file, level: 1 }));
}

/** A runtime, and how a backend offers it. */
async function runtimeOf(folder: string, version: string) {
  const tree = join(folder, `node-${version}`);
  await makeTree(tree, { "bin/node": version });
  const file = `${tree}.bundle`;
  const { runtime: _, ...common } = appManifest(version) as Extract<ManifestInput, { kind: "app" }>;
  const manifest: ManifestInput = { ...common, kind: "runtime", name: "node", main: "bin/node" };
  return offeredFrom(file, await packBundle({ folder: tree, manifest, privateKey: releaseKey, file }));
}

/** A board with 1.0.0, and a bundle of 1.1.0. */
async function boardAndBundle(folder: string, key = releaseKey) {
  const board = new Board(join(folder, "board"));
  await board.prepare(keySetBytes);
  await board.install((await bundleOf(folder, "1.0.0")).file, { board: "linux-test", channel: undefined });
  await board.adopt();
  const { file, bytes, offered } = await bundleOf(folder, "1.1.0", key);
  return { board, file, bytes, offer: { bundles: [offered], attempt: 1 } };
}

interface Told {
  readonly phase: UpdatePhase;
  readonly message: string;
}

interface Offer {
  readonly bundles: Awaited<ReturnType<typeof bundleOf>>["offered"][];
  readonly attempt: number;
  readonly downgradePermit?: Uint8Array<ArrayBuffer>;
}

interface Backend {
  /** What it offers now. */
  readonly offer: () => Offer | undefined;
  /** What comes over the line in answer to a request. */
  readonly line: (startByte: number, signal: AbortSignal, url: URL) => AsyncIterable<Uint8Array>;
  /** Called with each check, before it is answered; what it throws the printer gets for an answer. */
  readonly hear?: (phase: UpdatePhase) => void;
  /** The key set that follows one of that number. */
  readonly keySetAfter?: (number: number) => Uint8Array<ArrayBuffer> | undefined;
}

/** A printer of which only that is there which updates look at. */
function printerOf() {
  return {
    printerId: "shed",
    heldJobs: 0,
    endsAreTold: true,
    isPaused: false,
    status() {
      return create(PrinterStatusSchema, { heldJobs: this.heldJobs });
    },
    pause() {
      this.isPaused = true;
      return {
        [Symbol.dispose]: () => {
          this.isPaused = false;
        },
      };
    },
  };
}

/** An updater with a backend that asks for a check all the time, and a clock that stands still. */
function updaterOf(
  board: Board,
  { offer, line, hear = () => {}, keySetAfter = () => undefined }: Backend,
  changes: Partial<UpdaterOptions> = {},
) {
  const off = new AbortController();
  const told: Told[] = [];
  const watchers = new Set<() => void>();
  let [checks, nowMs] = [0, 0];
  const starts: number[] = [];
  const options: UpdaterOptions = {
    board,
    version: "1.0.0",
    health: undefined,
    printer: printerOf(),
    client: {
      checkForUpdate: async ({ status }): Promise<CheckForUpdateResponse> => {
        checks++;
        const { phase, message = "" } = status!;
        hear(phase!);
        if (told.at(-1)?.phase !== phase) told.push({ phase: phase!, message });
        for (const look of watchers) look();
        const [now, keySet] = [offer(), keySetAfter(status!.keySet!)];
        return create(PrinterUpdateService.method.checkForUpdate.output, {
          intervalMs: 1,
          ...(now && { offer: now }),
          ...(keySet && { keySet }),
        });
      },
    },
    printerKey: () => "key",
    fetch: {
      getFrom: async (url, _headers, startByte, signal) => {
        starts.push(startByte);
        return { startByte, totalBytes: undefined, etag: "", bytes: line(startByte, signal!, url) };
      },
    },
    boardName: "linux-test",
    channel: "stable",
    onStep: () => {},
    nowMs: () => nowMs,
    ...changes,
  };
  const until = (isSo: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = () => {
        if (isSo()) resolve();
      };
      watchers.add(look);
      look();
    });
  const running = new Updater(options).run(off.signal);
  running.catch(() => {});
  return {
    running,
    /** What it has said, a line for each change. */
    told,
    /** Where each request began. */
    starts,
    until,
    /** Resolves when the updater has looked at the offer again. */
    looksAgain: () => {
      const wanted = checks + 3;
      return until(() => checks >= wanted);
    },
    passMinutes: (minutes: number) => {
      nowMs += 60_000 * minutes;
    },
    [Symbol.asyncDispose]: async () => {
      off.abort();
      await Promise.allSettled([running]);
    },
  };
}

const phasesOf = (told: readonly Told[]): UpdatePhase[] => told.map(({ phase }) => phase);
const refusals = (told: readonly Told[]): number =>
  phasesOf(told).filter((phase) => phase === UpdatePhase.REFUSED).length;

test("a rollout that is paused stops a download, also on a line that stands still; what came stays", {
  timeout: 20_000,
}, async () => {
  await using folder = await tempFolder();
  const { board, bytes, offer } = await boardAndBundle(folder.path);
  const half = bytes.length >> 1;
  let [isPaused, isStalled] = [false, true];
  const line = async function* (startByte: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(startByte, isStalled ? half : bytes.length);
    if (!isStalled) return;
    isPaused = true;
    await once(signal, "abort");
    signal.throwIfAborted();
  };
  await using updater = updaterOf(board, { offer: () => (isPaused ? undefined : offer), line });
  const { told } = updater;
  await updater.until(() => told.length > 2 && told.at(-1)!.phase === UpdatePhase.UP_TO_DATE);
  expect(phasesOf(told)).toEqual([UpdatePhase.UP_TO_DATE, UpdatePhase.DOWNLOADING, UpdatePhase.UP_TO_DATE]);

  // It goes on, from where it was.
  [isPaused, isStalled] = [false, false];
  await updater.running;
  expect(updater.starts).toEqual([0, half]);
  expect(phasesOf(told).slice(3)).toEqual([
    UpdatePhase.DOWNLOADING,
    UpdatePhase.VERIFYING,
    UpdatePhase.INSTALLING,
    UpdatePhase.WAITING,
    UpdatePhase.TRYING,
  ]);
  expect((await board.next()).slot.manifest.version).toBe("1.1.0");
});

test("a download that came damaged is fetched again after a pause, which doubles, until it comes whole", async () => {
  await using folder = await tempFolder();
  const { board, bytes, offer } = await boardAndBundle(folder.path);
  const damaged = Buffer.from(bytes);
  damaged[bytes.length >> 1]! ^= 1;
  let comes = damaged;
  const line = async function* (): AsyncGenerator<Uint8Array> {
    yield comes;
  };
  await using updater = updaterOf(board, { offer: () => offer, line });
  const { told, starts } = updater;
  await updater.until(() => refusals(told) === 1);
  expect(told.at(-1)!.message).toMatch(/damaged; tried again in 1 min$/);
  updater.passMinutes(0.9);
  await updater.looksAgain();
  expect(starts).toEqual([0]);
  updater.passMinutes(0.1);
  await updater.until(() => refusals(told) === 2);
  expect(told.at(-1)!.message).toMatch(/damaged; tried again in 2 min$/);
  updater.passMinutes(1.9);
  await updater.looksAgain();
  expect(starts).toEqual([0, 0]);
  comes = bytes;
  updater.passMinutes(0.1);
  await updater.running;
  expect(starts).toEqual([0, 0, 0]);
  expect((await board.next()).slot.manifest.version).toBe("1.1.0");
});

test("a bundle that nobody trusted has signed is refused for good", async () => {
  await using folder = await tempFolder();
  const { board, bytes, offer } = await boardAndBundle(folder.path, testKey("thief"));
  const line = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  await using updater = updaterOf(board, { offer: () => offer, line });
  await updater.until(() => refusals(updater.told) === 1);
  expect(updater.told.at(-1)!.message).toMatch(/not trusted$/);
  updater.passMinutes(1e6);
  await updater.looksAgain();
  expect([updater.starts, refusals(updater.told)]).toEqual([[0], 1]);
});

test("a permit to go back is for its own bundle: another one that comes in its stead is refused", async () => {
  await using folder = await tempFolder();
  const { board } = await boardAndBundle(folder.path);
  const older = await bundleOf(folder.path, "0.8.0");
  const permitted = await bundleOf(folder.path, "0.9.0");
  const { payloadSha256Hex } = permitted.offered;
  const downgradePermit = new Uint8Array(signDowngrade({ from: "1.0.0", to: payloadSha256Hex }, releaseKey));
  let offered = { ...older.offered, version: "0.9.0", payloadSha256Hex };
  const line = async function* (): AsyncGenerator<Uint8Array> {
    yield offered.sha256Hex === older.offered.sha256Hex ? older.bytes : permitted.bytes;
  };
  const offer = () => ({ bundles: [offered], attempt: 1, downgradePermit });
  await using updater = updaterOf(board, { offer, line });
  await updater.until(() => refusals(updater.told) === 1);
  expect(updater.told.at(-1)!.message).toMatch(/0\.8\.0 is not what was offered$/);

  offered = permitted.offered;
  await updater.running;
  expect((await board.next()).slot.manifest.version).toBe("0.9.0");
});

test("an app that lies in the other slot is fetched and checked like any other: nothing is tried unchecked", async () => {
  await using folder = await tempFolder();
  const { board } = await boardAndBundle(folder.path);
  const { file, bytes, offered } = await bundleOf(folder.path, "0.9.0");
  await board.install(file, { board: "linux-test", channel: undefined, downgrade: "any" });
  let payloadSha256Hex = "../slots/b";
  const line = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  const offer = () => ({ bundles: [{ ...offered, payloadSha256Hex }], attempt: payloadSha256Hex.length });
  await using updater = updaterOf(board, { offer, line });
  await updater.until(() => refusals(updater.told) === 1);
  expect(updater.told.at(-1)!.message).toMatch(/no bundle that can be fetched$/);

  ({ payloadSha256Hex } = offered);
  await updater.until(() => refusals(updater.told) === 2);
  expect(updater.told.at(-1)!.message).toMatch(/nobody allowed a step back$/);
  expect((await board.next()).slot.manifest.version).toBe("1.0.0");
});

describe("key sets that the board missed", () => {
  const [root2, release3] = [testKey("root-2"), testKey("release-3")];
  const second = signKeySet({ number: 2, root: [root2], release: [releaseKey] }, [rootKey, root2]);
  const third = signKeySet({ number: 3, root: [root2], release: [release3] }, [root2]);
  const site = async (folder: string, key = releaseKey) => {
    const { board, bytes, offer } = await boardAndBundle(folder, key);
    const line = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes;
    };
    return { board, backend: { offer: () => offer, line } };
  };

  test("are taken in turn before any offer, which the last one may vouch for", async () => {
    await using folder = await tempFolder();
    const { board, backend } = await site(folder.path, release3);
    const keySetAfter = (number: number) => [second, third].map((set) => new Uint8Array(set))[number - 1];
    await using updater = updaterOf(board, { ...backend, keySetAfter });
    await updater.running;
    expect((await board.keys()).number).toBe(3);
    expect(refusals(updater.told)).toBe(0);
  });

  test("and that the backend has no more are complained of; updates go on with the keys there are", async () => {
    await using folder = await tempFolder();
    const { board, backend } = await site(folder.path);
    await using updater = updaterOf(board, { ...backend, keySetAfter: () => new Uint8Array(third) });
    await updater.running;
    expect(updater.told[1]!.message).toMatch(/^key set not taken: no root key that is trusted/);
    expect((await board.next()).slot.manifest.version).toBe("1.1.0");
  });
});

describe("before the change to a version that is ready", () => {
  const site = async (folder: string) => {
    const { board, bytes, offer } = await boardAndBundle(folder);
    const line = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes;
    };
    const asked = Promise.withResolvers<void>();
    const printer = {
      ...printerOf(),
      isTold: true,
      get endsAreTold(): boolean {
        if (this.heldJobs === 0) asked.resolve();
        return this.isTold;
      },
    };
    return { board, printer, asked: asked.promise, backend: { offer: () => offer, line } };
  };

  test("the printer ends what it prints, is heard to have, and takes no more", async () => {
    await using folder = await tempFolder();
    const { board, printer, asked, backend } = await site(folder.path);
    Object.assign(printer, { heldJobs: 1, isTold: false });
    await using updater = updaterOf(board, backend, { printer });
    await updater.until(() => updater.told.at(-1)?.phase === UpdatePhase.WAITING);
    expect(printer.isPaused).toBe(false);
    printer.heldJobs = 0;
    await asked;
    expect(printer.isPaused).toBe(false);
    printer.isTold = true;
    await updater.running;
    expect(printer.isPaused).toBe(true);
  });

  test("an end that nobody asks for keeps it for ten minutes at most", async () => {
    await using folder = await tempFolder();
    const { board, printer, asked, backend } = await site(folder.path);
    printer.isTold = false;
    await using updater = updaterOf(board, backend, { printer });
    await asked;
    updater.passMinutes(10.1);
    await updater.running;
  });

  test("the backend must answer; otherwise the printer goes on printing, and it is tried again", async () => {
    await using folder = await tempFolder();
    const { board, printer, backend } = await site(folder.path);
    let misses = 0;
    const hear = (phase: UpdatePhase): void => {
      if (phase === UpdatePhase.TRYING) {
        expect(printer.isPaused).toBe(true);
        if (++misses < 3) throw new PlatenError("deadline-exceeded", "no answer");
      } else expect(printer.isPaused).toBe(false);
    };
    await using updater = updaterOf(board, { ...backend, hear }, { printer });
    await updater.running;
    expect(misses).toBe(3);
    expect((await board.next()).trial).toBe(true);
  });
});

test("a runtime comes with the app that needs it, unless the image's own is the one", async () => {
  await using folder = await tempFolder();
  const { board, bytes, offer } = await boardAndBundle(folder.path);
  const [own, other] = [
    await runtimeOf(folder.path, process.versions.node),
    await runtimeOf(folder.path, "99.0.0"),
  ];
  const asked: string[] = [];
  const line = async function* (_: number, __: AbortSignal, { href }: URL): AsyncGenerator<Uint8Array> {
    asked.push(href);
    yield href === other.offered.url ? other.bytes : bytes;
  };
  const [app] = offer.bundles;
  const bundles = [own.offered, other.offered, app!];
  await using updater = updaterOf(board, { offer: () => ({ ...offer, bundles }), line });
  await updater.running;
  expect(asked).toEqual([other.offered.url, app!.url]);
  expect(await board.runtime(own.offered.payloadSha256Hex)).toBeUndefined();
  expect(await board.runtime(other.offered.payloadSha256Hex)).toBeDefined();
});

test("what neither a slot nor an offer needs is given back, before a download and when a version is kept", async () => {
  await using folder = await tempFolder();
  const { board, bytes, offer } = await boardAndBundle(folder.path);
  const runtime = await runtimeOf(folder.path, "99.0.0");
  const inFolder = async (name: string) => (await readdir(join(board.root, name))).sort();
  await board.install(runtime.file, { board: "linux-test", channel: undefined });
  for (const name of ["0.bundle", "1.part"]) await writeFile(join(board.root, "downloads", name), "");
  const line = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  {
    await using updater = updaterOf(board, { offer: () => offer, line });
    await updater.running;
  }
  expect(await inFolder("runtimes")).toEqual([]);
  expect(await inFolder("downloads")).toEqual([`${offer.bundles[0]!.sha256Hex}.bundle`]);

  await board.next();
  await board.judge("good", "");
  const health = { missing: [], passed: () => {} };
  await using kept = updaterOf(board, { offer: () => undefined, line }, { health, version: "1.1.0" });
  await kept.until(() => kept.told.at(-1)?.phase === UpdatePhase.UP_TO_DATE);
  await kept.looksAgain();
  expect(await inFolder("downloads")).toEqual([]);
});

test("a version on trial takes no prints before it is kept, and looks for the next after that, though a full disk remembers nothing", async () => {
  await using folder = await tempFolder();
  const { board, file } = await boardAndBundle(folder.path);
  const { payload } = await board.install(file, { board: "linux-test", channel: undefined });
  await board.askTrial(payload.sha256);
  await board.next();
  const printer = printerOf();
  const health = { missing: ["engine"] as Check[], passed: () => {} };
  const backend: Backend = { offer: () => undefined, line: async function* () {} };
  await using updater = updaterOf(board, backend, { printer, health, version: "1.1.0" });
  await updater.looksAgain();
  health.missing = [];
  expect(printer.isPaused).toBe(true);

  const noSpace = () => Promise.reject(diskError(Object.assign(new Error("full"), { code: "ENOSPC" })));
  await new Board(board.root, { ...disk, writeFile: noSpace }).judge("good", "");
  await updater.until(() => updater.told.at(-1)!.phase === UpdatePhase.UP_TO_DATE);
  expect(printer.isPaused).toBe(false);
  await updater.looksAgain();
});

test("the longest interval that a backend can name is a day's, and not one that a timer cannot be set for", () => {
  expect(Math.abs(untilNextMs(1000) - 1000)).toBeLessThanOrEqual(250);
  for (const intervalMs of [30 * 86_400_000, 2 ** 32 - 1]) {
    expect(Math.abs(untilNextMs(intervalMs) - 86_400_000)).toBeLessThanOrEqual(21_600_000);
  }
});

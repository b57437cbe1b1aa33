import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type CheckForUpdateResponse,
  PrinterStatusSchema,
  PrinterUpdateService,
  UpdatePhase,
} from "@platen/proto";
import { expect, test } from "vitest";
import { Board } from "./board.ts";
import { packBundle } from "./bundle.ts";
import { appManifest, keySetBytes, makeTree, releaseKey, tempFolder } from "./testing/bundles.ts";
import { Updater, type UpdaterOptions } from "./updater.ts";

/** A board with 1.0.0, and a bundle of 1.1.0 that is larger than a few writes. */
async function boardAndBundle(folder: string) {
  const board = new Board(join(folder, "board"));
  await board.prepare(keySetBytes);
  const make = async (version: string) => {
    const tree = join(folder, version);
    const ballast = crypto.getRandomValues(new Uint8Array(60_000));
    await makeTree(tree, { "main.js": "", "ballast.bin": ballast });
    const file = `${tree}.bundle`;
    const manifest = appManifest(version);
    return {
      file,
      made: await packBundle({ folder: tree, manifest, privateKey: releaseKey, file, level: 1 }),
    };
  };
  await board.install((await make("1.0.0")).file, { board: "linux-test", channel: undefined });
  await board.adopt();
  const { file, made } = await make("1.1.0");
  const bytes = await readFile(file);
  const sha256Hex = createHash("sha256").update(bytes).digest("hex");
  const offered = {
    sha256Hex,
    sizeBytes: BigInt(bytes.length),
    url: `http://127.0.0.1/v1/updates/${sha256Hex}`,
    version: "1.1.0",
    payloadSha256Hex: made.payload.sha256,
  };
  return { board, bytes, offer: { bundles: [offered], attempt: 1 } };
}

test("a rollout that is paused stops a download, also on a line that stands still; what came stays", {
  timeout: 20_000,
}, async () => {
  await using folder = await tempFolder();
  const { board, bytes, offer } = await boardAndBundle(folder.path);
  const half = bytes.length >> 1;
  let isPaused = false;
  let isStalled = true;
  const starts: number[] = [];
  const phases: UpdatePhase[] = [];
  const stopped = Promise.withResolvers<void>();

  const options: UpdaterOptions = {
    board,
    version: "1.0.0",
    health: undefined,
    printer: { printerId: "shed", status: () => create(PrinterStatusSchema) },
    client: {
      checkForUpdate: async ({ status }): Promise<CheckForUpdateResponse> => {
        const phase = status!.phase!;
        if (phases.at(-1) !== phase) phases.push(phase);
        if (phases.includes(UpdatePhase.DOWNLOADING) && phase === UpdatePhase.UP_TO_DATE) stopped.resolve();
        return create(PrinterUpdateService.method.checkForUpdate.output, {
          intervalMs: 10,
          ...(!isPaused && { offer }),
        });
      },
    },
    printerKey: () => "key",
    fetch: {
      getFrom: async (_url, _headers, startByte, signal) => {
        starts.push(startByte);
        const line = async function* (): AsyncGenerator<Uint8Array> {
          yield bytes.subarray(startByte, isStalled ? half : bytes.length);
          if (!isStalled) return;
          isPaused = true;
          await once(signal!, "abort");
          signal!.throwIfAborted();
        };
        return { startByte, totalBytes: bytes.length, etag: "", bytes: line() };
      },
    },
    boardName: "linux-test",
    channel: "stable",
    onStep: () => {},
  };
  const off = new AbortController();
  const running = new Updater(options).run(off.signal);
  await stopped.promise;
  expect(phases).toEqual([UpdatePhase.UP_TO_DATE, UpdatePhase.DOWNLOADING, UpdatePhase.UP_TO_DATE]);

  // It goes on, from where it was.
  [isPaused, isStalled] = [false, false];
  await running;
  expect(starts).toEqual([0, half]);
  expect(phases.slice(3)).toEqual([
    UpdatePhase.DOWNLOADING,
    UpdatePhase.VERIFYING,
    UpdatePhase.INSTALLING,
    UpdatePhase.WAITING,
    UpdatePhase.TRYING,
  ]);
  expect((await board.next()).slot.manifest.version).toBe("1.1.0");
});

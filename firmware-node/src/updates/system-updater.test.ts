/** The system's way from an offer to what is asked of the board's service; the service's own side is hw/flash/src/system. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { watch } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { PrinterStatusSchema, PrinterUpdateService, UpdatePhase, type UpdateStatus } from "@platen/proto";
import type { ManifestInput } from "@platen/proto/bundle";
import { expect, test } from "vitest";
import { Board } from "./board.ts";
import { packBundle } from "./bundle.ts";
import type { Check } from "./supervised.ts";
import {
  requestFile,
  requestSchema,
  type SystemRequest,
  type SystemStatus,
  statusFile,
} from "./system-files.ts";
import { SystemLink } from "./system-link.ts";
import {
  appManifest,
  keySetBytes,
  makeTree,
  offeredFrom,
  releaseKey,
  tempFolder,
} from "./testing/bundles.ts";
import { Updater } from "./updater.ts";

const atStart: SystemStatus = { version: "1.0.0", board: "card", slot: "a", trial: false, failed: {} };

async function offeredSystem(folder: string, version: string, node = process.versions.node) {
  const tree = join(folder, version);
  await makeTree(tree, { vmlinuz: "kernel" });
  const manifest: ManifestInput = {
    ...appManifest(version, { runtime: { version: node, sha256: "1".repeat(64) } }),
    kind: "system",
    name: "platen-system",
    board: "card",
    main: "vmlinuz",
  } as Extract<ManifestInput, { kind: "system" }>;
  const file = `${tree}.bundle`;
  return offeredFrom(
    file,
    await packBundle({ folder: tree, manifest, privateKey: releaseKey, file, level: 1 }),
  );
}

interface Bench extends AsyncDisposable {
  readonly folder: string;
  readonly board: Board;
  /** What the service was asked for, in order. */
  readonly asked: readonly SystemRequest[];
  /** What the backend was told of the system, a line for each change. */
  readonly told: readonly UpdateStatus[];
  /** Whether the printer takes no prints. */
  readonly isPaused: boolean;
  until(isSo: () => boolean): Promise<void>;
  run(options: {
    readonly status?: Partial<SystemStatus>;
    readonly offer?: Awaited<ReturnType<typeof offeredSystem>>;
    readonly missing?: Check[];
  }): void;
}

/** A printer with app 1.0.0, and a service that does what `answer` says. */
async function bench(
  answer: (request: SystemRequest) => NonNullable<SystemStatus["answer"]>["error"] = () => undefined,
): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await tempFolder());
  const run = join(folder, "run");
  await mkdir(join(run, "requests"), { recursive: true });
  const board = new Board(join(folder, "board"));
  await board.prepare(keySetBytes);
  const tree = join(folder, "app");
  await makeTree(tree, { "main.js": "" });
  const app = join(folder, "app.bundle");
  await packBundle({ folder: tree, manifest: appManifest("1.0.0"), privateKey: releaseKey, file: app });
  await board.install(app, { board: "linux-test", channel: undefined });
  await board.adopt();
  const off = new AbortController();
  const asked: SystemRequest[] = [];
  const told: UpdateStatus[] = [];
  const watchers = new Set<() => void>();
  const say = (status: SystemStatus) => writeFile(join(run, statusFile), JSON.stringify(status));
  let status = atStart;
  let pauses = 0;
  let running: Promise<unknown> = Promise.resolve();
  const requests = watch(join(run, "requests"), (_, name) => {
    if (name !== "request.json") return;
    void serve();
  });
  stack.defer(async () => {
    off.abort();
    requests.close();
    await running;
  });
  async function serve(): Promise<void> {
    const file = join(run, requestFile);
    const text = await readFile(file, "utf8").catch(() => "");
    if (text === "") return;
    await rm(file, { force: true });
    const request = requestSchema.parse(JSON.parse(text));
    asked.push(request);
    if (request.action === "install") await say({ ...status, installing: true });
    const error = answer(request);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await say({ ...status, answer: { id: request.id, ...(error && { error }) } });
    for (const look of watchers) look();
  }
  const resources = stack.move();
  return {
    folder,
    board,
    asked,
    told,
    get isPaused() {
      return pauses > 0;
    },
    until: (isSo) =>
      new Promise((resolve) => {
        const look = () => {
          if (isSo()) resolve();
        };
        watchers.add(look);
        look();
      }),
    run({ status: changes = {}, offer, missing }) {
      status = { ...atStart, ...changes };
      const updater = new Updater({
        board,
        version: "1.0.0",
        health: missing && {
          missing,
          passed: (check) => void missing.splice(missing.indexOf(check), missing.includes(check) ? 1 : 0),
        },
        system: { link: new SystemLink(run), atStart: status },
        printer: {
          printerId: "shed",
          endsAreTold: true,
          status: () => create(PrinterStatusSchema, {}),
          pause: () => {
            pauses++;
            return { [Symbol.dispose]: () => void pauses-- };
          },
        },
        client: {
          checkForUpdate: async ({ system }) => {
            const now = system as UpdateStatus;
            if (told.at(-1)?.phase !== now.phase || told.at(-1)?.message !== now.message) told.push(now);
            for (const look of watchers) look();
            const systemOffer = offer && { bundles: [offer.offered], attempt: 1 };
            const answered = PrinterUpdateService.method.checkForUpdate.output;
            return create(answered, { intervalMs: 1, ...(systemOffer && { systemOffer }) });
          },
        },
        printerKey: () => "key",
        fetch: {
          getFrom: async (_url, _headers, startByte) => ({
            startByte,
            totalBytes: undefined,
            etag: "",
            bytes: (async function* () {
              yield offer!.bytes.subarray(startByte);
            })(),
          }),
        },
        boardName: "linux-test",
        channel: "stable",
        onStep: () => {},
        nowMs: () => 0,
      });
      running = say(status)
        .then(() => updater.run(off.signal))
        .catch(() => {});
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

const phases = (told: readonly UpdateStatus[]) => told.map(({ phase }) => phase);

test("a system that is offered is fetched, installed and tried by the service, and nothing is printed from then on", async () => {
  await using bed = await bench();
  const offer = await offeredSystem(bed.folder, "1.1.0");
  bed.run({ offer });
  await bed.until(() => bed.asked.length === 2);
  const { sha256Hex: sha256, payloadSha256Hex: payloadSha256 } = offer.offered;
  expect(bed.asked).toMatchObject([
    { action: "install", sha256, payloadSha256, attempt: 1, channel: "stable", permit: "" },
    { action: "try", payloadSha256, attempt: 1 },
  ]);
  expect(phases(bed.told)).toEqual([
    UpdatePhase.UP_TO_DATE,
    UpdatePhase.DOWNLOADING,
    UpdatePhase.VERIFYING,
    UpdatePhase.INSTALLING,
    UpdatePhase.WAITING,
    UpdatePhase.TRYING,
  ]);
  expect(bed.isPaused).toBe(true);
});

test("what the service refuses is told to the backend, and the printer goes on", async () => {
  await using bed = await bench(({ action }) =>
    action === "install" ? { code: "update-refused", message: "the card is full of stars" } : undefined,
  );
  bed.run({ offer: await offeredSystem(bed.folder, "1.1.0") });
  await bed.until(() => bed.told.at(-1)?.phase === UpdatePhase.REFUSED);
  expect([bed.told.at(-1)?.message, bed.isPaused]).toEqual(["the card is full of stars", false]);
});

test("a system on trial is kept when all checks are passed, and prints wait until then", async () => {
  await using bed = await bench();
  const missing: Check[] = ["engine", "backend"];
  bed.run({ status: { version: "1.1.0", slot: "b", trial: true }, missing });
  await bed.until(() => bed.told.length > 0);
  expect([bed.told[0]?.phase, bed.told[0]?.targetVersion]).toEqual([UpdatePhase.TRYING, "1.1.0"]);
  expect([bed.asked, bed.isPaused]).toEqual([[], true]);
  missing.splice(missing.indexOf("engine"), 1);
  await bed.until(() => bed.told.at(-1)?.phase === UpdatePhase.UP_TO_DATE);
  expect([bed.asked.map(({ action }) => action), bed.isPaused]).toEqual([["keep"], false]);
});

test("how the last trial ended is told from the start, and a system that failed is left alone", async () => {
  await using bed = await bench();
  const offer = await offeredSystem(bed.folder, "1.1.0");
  const reason = "it did not start";
  bed.run({
    offer,
    status: {
      last: { version: "1.1.0", outcome: "failed", reason },
      failed: { [offer.offered.payloadSha256Hex]: { attempt: 1, reason } },
    },
  });
  let checks = 0;
  await bed.until(() => bed.told.length > 0 && ++checks > 3);
  expect(bed.asked).toEqual([]);
  expect(bed.told).toMatchObject([{ phase: UpdatePhase.ROLLED_BACK, message: reason }]);
});

test("a system without the Node that the app needs is refused before it is written", async () => {
  await using bed = await bench();
  bed.run({ offer: await offeredSystem(bed.folder, "1.1.0", "99.0.0") });
  await bed.until(() => bed.told.at(-1)?.phase === UpdatePhase.REFUSED);
  expect(bed.told.at(-1)?.message).toMatch(/brings Node 99\.0\.0, .* update the app first$/);
  expect(bed.asked).toEqual([]);
});

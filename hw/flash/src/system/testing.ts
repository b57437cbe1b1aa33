/** A board of plain files, whose printer asks for systems, for tests. */
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packBundle } from "@platen/firmware-node/updates";
import { encodeHead, type Manifest, type ManifestInput } from "@platen/proto/bundle";
import type { KeyObject } from "node:crypto";
import { makeTree, releaseKey, keySetBytes } from "../../../../firmware-node/src/updates/testing/bundles.ts";
import { systemBoardName } from "../bundle.ts";
import { cardBytes } from "../card.ts";
import { readBootState, writeBootState } from "./boot-state.ts";
import { SystemService } from "./service.ts";
import { rootFile, slotFiles } from "./slot.ts";

type SystemInput = Extract<ManifestInput, { kind: "system" }>;

export const systemManifest = (version: string, changes: Partial<SystemInput> = {}): SystemInput => ({
  kind: "system",
  name: "platen-system",
  version,
  board: systemBoardName,
  channels: ["stable"],
  main: slotFiles.kernel,
  commit: "",
  runtime: { version: process.versions.node, sha256: "0".repeat(64) },
  ...changes,
});

export interface TestBoard extends AsyncDisposable {
  readonly card: string;
  /** Where the printer and the service meet. */
  readonly folder: string;
  readonly home: string;
  readonly said: readonly string[];
  /** How often the service has asked the board to start again. */
  readonly reboots: number;
  /** Packs a system, and puts it where the printer's downloads are. */
  download(
    version: string,
    changes?: Partial<SystemInput>,
    key?: KeyObject,
    /** Which version's files are in it. */
    files?: string,
  ): Promise<Downloaded>;
  /** The service as it is in this start of the board. */
  readonly service: SystemService;
  /** Starts the board again, as U-Boot does; or with its power cut before the system runs any of its programs. */
  start(options?: { readonly isCut?: boolean }): Promise<"a" | "b">;
}

export interface Downloaded {
  readonly sha256: string;
  readonly payloadSha256: string;
  readonly manifest: Manifest;
}

const rootBytes = 1 << 16;

/** A board that has been started with system 1.0.0 in slot a. */
export async function testBoard(): Promise<TestBoard> {
  const base = await mkdtemp(join(tmpdir(), "platen-system-"));
  const at = (name: string) => join(base, name);
  const roots = { a: at("root-a"), b: at("root-b") };
  await writeFile(at("card"), "");
  await truncate(at("card"), cardBytes);
  for (const root of Object.values(roots)) await writeFile(root, Buffer.alloc(rootBytes));
  for (const folder of ["boot/a", "downloads", "run/requests"]) await mkdir(at(folder), { recursive: true });
  await writeFile(at("keys"), keySetBytes);
  const said: string[] = [];
  let [reboots, starts, isReadOnly] = [0, 0, true];
  const serviceOf = (commandLine: string) =>
    new SystemService({
      card: at("card"),
      roots,
      rootBytes,
      boot: at("boot"),
      home: at("home"),
      downloads: at("downloads"),
      folder: at("run"),
      imageKeys: at("keys"),
      board: systemBoardName,
      commandLine,
      bootId: `start ${starts}`,
      writable: async (work) => {
        isReadOnly = false;
        await work();
        isReadOnly = true;
      },
      stopClock: async () => void said.push("clock stopped"),
      reboot: async () => void reboots++,
      log: (line) => said.push(line),
    });
  let service = serviceOf("quiet platen.slot=a");

  async function download(
    version: string,
    changes: Partial<SystemInput> = {},
    key = releaseKey,
    files = version,
  ): Promise<Downloaded> {
    const tree = at(`tree-${version}`);
    const file = at("new.bundle");
    await makeTree(tree, {
      [slotFiles.kernel]: `kernel ${files}`,
      [slotFiles.firstRoot]: "first root",
      [slotFiles.settings]: "arguments=quiet\n",
      [rootFile]: `root ${files}`,
    });
    const manifest = await packBundle({
      folder: tree,
      manifest: systemManifest(version, changes),
      privateKey: key,
      file,
      level: 1,
    });
    await rm(tree, { recursive: true });
    const bytes = await readFile(file);
    const sha256 = Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
    await writeFile(join(at("downloads"), `${sha256}.bundle`), bytes);
    return { sha256, payloadSha256: manifest.payload.sha256, manifest };
  }

  const first = await download("1.0.0");
  await writeFile(join(at("boot/a"), slotFiles.kernel), "kernel 1.0.0");
  await writeFile(join(at("boot/a"), slotFiles.head), encodeHead(first.manifest, releaseKey));
  await service.settle();
  return {
    card: at("card"),
    folder: at("run"),
    home: at("home"),
    said,
    get reboots() {
      if (!isReadOnly) throw new Error("the boot partition was left writable");
      return reboots;
    },
    get service() {
      return service;
    },
    download,
    async start({ isCut = false } = {}) {
      starts++;
      const { slot, trial } = await readBootState(at("card"));
      const running = trial ?? slot;
      if (trial) {
        // board/boot.cmd
        await writeBootState(at("card"), { slot, trial: undefined });
      }
      // Of memory, and gone with the start before.
      await rm(at("run"), { recursive: true });
      await mkdir(at("run/requests"), { recursive: true });
      service = serviceOf(`quiet platen.slot=${running}${trial ? " platen.trial" : ""}`);
      if (!isCut) await service.settle();
      return running;
    },
    [Symbol.asyncDispose]: () => rm(base, { recursive: true }),
  };
}

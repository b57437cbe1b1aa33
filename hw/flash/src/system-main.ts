/** What platen-system.service and its like run on the board: `settle`, `serve` or `give-up`. */
import { execFile } from "node:child_process";
import { readFile, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { systemFolder } from "@platen/firmware-node/updates";
import { toPlatenError } from "@platen/proto";
import { systemBoardName } from "./bundle.ts";
import { partitionUuid, rootSlotBytes } from "./card.ts";
import { SystemService } from "./system/service.ts";

const run = promisify(execFile);
const boot = "/boot/firmware";
const remount = (how: "rw" | "ro") => run("mount", ["-n", "-o", `remount,${how}`, boot]);

const partition = (number: number): Promise<string> =>
  realpath(`/dev/disk/by-partuuid/${partitionUuid(number)}`);
/** The disk that a partition is on. */
const diskOf = async (path: string): Promise<string> =>
  join("/dev", basename(await realpath(`/sys/class/block/${basename(path)}/..`)));

const textOf = async (path: string): Promise<string> => (await readFile(path, "utf8")).trim();

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

const service = new SystemService({
  card: await diskOf(await partition(1)),
  roots: { a: await partition(2), b: await partition(3) },
  rootBytes: rootSlotBytes,
  boot,
  home: "/data/system/updates",
  downloads: "/data/platen/downloads",
  folder: systemFolder,
  imageKeys: "/usr/lib/platen/keys",
  board: systemBoardName,
  commandLine: await textOf("/proc/cmdline"),
  bootId: await textOf("/proc/sys/kernel/random/boot_id"),
  writable: async (work) => {
    await remount("rw");
    try {
      await work();
    } finally {
      await remount("ro");
    }
  },
  stopClock: async () => void (await run("systemctl", ["stop", "platen-trial.timer"])),
  reboot: async () => void (await run("systemctl", ["--no-block", "reboot"])),
  log: (line) => void process.stderr.write(`${line}\n`),
  signal: stop.signal,
});

const commands = {
  settle: () => service.settle(),
  serve: () => service.serve(),
  "give-up": () => service.giveUp(),
} as const;
try {
  const name = process.argv[2] as keyof typeof commands;
  await commands[name]();
} catch (error) {
  process.stderr.write(`${toPlatenError(error).message}\n`);
  process.exitCode = 1;
}

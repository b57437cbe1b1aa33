/** The data partition as it leaves the factory: the app in its first slot. */
import { chmod, lchown, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Board } from "@platen/firmware-node/updates";
import { boardName } from "./bundle.ts";
import { dataBytes } from "./card.ts";
import { run } from "./command.ts";
import { platenId } from "./root.ts";

/** Of the file system, and the seed of its directories' hashes: fixed, so that the same files make the same bytes. */
const uuid = "504c544e-0000-4000-8000-000000000004";

export interface DataOptions {
  /** The app's bundle. */
  readonly bundle: string;
  /** The key set that the board is to trust. */
  readonly keySet: string;
  readonly epochS: number;
  readonly signal?: AbortSignal | undefined;
}

/** Makes the ext4 `to`; `tree` is a folder to work in. */
export async function makeData(
  to: string,
  tree: string,
  { bundle, keySet, epochS, signal }: DataOptions,
): Promise<void> {
  for (const folder of ["system/systemd", "system/journal", "platen/state"]) {
    await mkdir(join(tree, folder), { recursive: true });
  }
  // As a board itself would: what comes from here is what an update leaves behind.
  const board = new Board(join(tree, "platen"));
  await board.prepare(await readFile(keySet));
  await board.install(bundle, { board: boardName, channel: undefined, ...(signal && { signal }) });
  await board.adopt();
  await chmod(join(tree, "system"), 0o700);
  await chmod(join(tree, "platen"), 0o750);
  await lchown(join(tree, "platen"), platenId, platenId);
  for (const path of await readdir(join(tree, "platen"), { recursive: true })) {
    await lchown(join(tree, "platen", path), platenId, platenId);
  }
  await run("find", [tree, "-exec", "touch", "-h", "-d", `@${epochS}`, "{}", "+"], { signal });
  const extended = [`hash_seed=${uuid}`, "lazy_itable_init=0", "lazy_journal_init=0", "root_owner=0:0"];
  const env = { E2FSPROGS_FAKE_TIME: String(epochS), SOURCE_DATE_EPOCH: String(epochS) };
  const args = [
    "-q",
    "-F",
    "-t",
    "ext4",
    "-m",
    "1",
    "-L",
    "platen-data",
    "-U",
    uuid,
    "-E",
    extended.join(","),
    "-d",
    tree,
  ];
  await run("mkfs.ext4", [...args, to, `${dataBytes / 1024}k`], { signal, env });
  await evenChangeTimes(to, tree, { epochS, env, signal });
}

/** The first inode that mkfs gives away: those before are its own, lost+found the last of them. */
const firstInode = 12;

/** When a file's inode was changed last cannot be set from outside of a file system: mkfs has copied the time of the build. */
async function evenChangeTimes(
  image: string,
  tree: string,
  { epochS, env, signal }: { epochS: number; env: Record<string, string>; signal: AbortSignal | undefined },
): Promise<void> {
  const { length: count } = await run("find", [tree, "-mindepth", "1", "-printf", "."], { signal });
  const fields = Array.from({ length: count }, (_, index) => {
    const inode = `<${firstInode + index}>`;
    return `set_inode_field ${inode} ctime @${epochS}\nset_inode_field ${inode} ctime_extra 0\n`;
  });
  const script = `${image}.debugfs`;
  await writeFile(script, fields.join(""));
  await run("debugfs", ["-w", "-f", script, image], { signal, env });
  await rm(script);
}

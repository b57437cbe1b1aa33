/**
 * Every write that the updater does goes through here: so that what must survive a power cut is on the disk before the next
 * step begins, and so that tests can cut the power at each of them.
 */
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readFile,
  readlink,
  rename,
  rm,
  statfs,
  symlink,
  unlink,
} from "node:fs/promises";
import { dirname } from "node:path";
import { PlatenError } from "@platen/proto";

/** Each call is one step; all of them throw `disk-full` when there is no space. */
export interface Disk {
  /** One folder more; the one above must be there. */
  makeFolder(path: string): Promise<void>;
  /** A new file, whose bytes are on the disk when it resolves. */
  writeFile(path: string, bytes: AsyncIterable<Uint8Array>, mode: number): Promise<void>;
  link(target: string, path: string): Promise<void>;
  /** Takes the place of what is there, at once. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** With all that is in it; what is not there is no error. */
  removeTree(path: string): Promise<void>;
  /** Names made, changed and removed in the folder are on the disk when it resolves. */
  syncFolder(path: string): Promise<void>;
  /** That may still be written where the folder lies. No step. */
  freeBytes(path: string): Promise<number>;
}

const full = (cause?: unknown): PlatenError =>
  new PlatenError("disk-full", "there is no space left on the disk for the update", { cause });

/** A failure of the file system, as what it means to a person. */
export function diskError(cause: unknown): PlatenError {
  if (cause instanceof PlatenError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") return full(cause);
  return new PlatenError("internal", `the update cannot be written: ${message}`, { cause });
}

const step = async <T>(work: Promise<T>): Promise<void> => {
  try {
    await work;
  } catch (cause) {
    throw diskError(cause);
  }
};

async function writeDurably(path: string, bytes: AsyncIterable<Uint8Array>, mode: number): Promise<void> {
  await using file = await open(path, "wx", mode);
  for await (const chunk of bytes) await file.writeFile(chunk);
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path);
  await folder.sync();
}

export const disk: Disk = {
  makeFolder: (path) => step(mkdir(path)),
  writeFile: (path, bytes, mode) => step(writeDurably(path, bytes, mode)),
  link: (target, path) => step(symlink(target, path)),
  rename: (from, to) => step(rename(from, to)),
  unlink: (path) => step(unlink(path)),
  removeTree: (path) => step(rm(path, { recursive: true, force: true })),
  syncFolder: (path) => step(syncFolder(path)),
  freeBytes: async (path) => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

/** Throws `disk-full` unless so much may still be written where the folder lies. */
export async function requireSpace(disk: Disk, path: string, bytes: number): Promise<void> {
  if ((await disk.freeBytes(path)) < bytes) throw full();
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The file holds either what it held or all of `bytes`, whenever the power goes. */
export async function replaceFile(disk: Disk, path: string, bytes: Uint8Array, mode = 0o644): Promise<void> {
  const part = `${path}.part`;
  await disk.removeTree(part);
  try {
    await disk.writeFile(part, once(bytes), mode);
  } catch (error) {
    // On a full disk, what there was space for stays otherwise.
    await disk.removeTree(part).catch(() => {});
    throw error;
  }
  await disk.rename(part, path);
  await disk.syncFolder(dirname(path));
}

/** The same for a symbolic link. */
export async function replaceLink(disk: Disk, path: string, target: string): Promise<void> {
  const part = `${path}.part`;
  await disk.removeTree(part);
  await disk.link(target, part);
  await disk.rename(part, path);
  await disk.syncFolder(dirname(path));
}

const absent = <T>(error: NodeJS.ErrnoException): T | undefined => {
  if (error.code === "ENOENT" || error.code === "EINVAL" || error.code === "ENOTDIR") return undefined;
  throw diskError(error);
};

/** What a symbolic link says; undefined where there is none. */
export const readLinkIfAny = (path: string): Promise<string | undefined> =>
  readlink(path).catch(absent<string>);

/** What a file holds; undefined where there is none. */
export const readFileIfAny = (path: string): Promise<Buffer | undefined> =>
  readFile(path).catch(absent<Buffer>);

export const exists = async (path: string): Promise<boolean> =>
  (await lstat(path).catch(absent<object>)) !== undefined;

const chunkBytes = 256 * 1024;

/** The file's bytes from `start` on; the consumer owns each chunk. */
export async function* readFrom(
  file: FileHandle,
  start: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let position = start; ; ) {
    signal?.throwIfAborted();
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/**
 * The blob port on a folder, on this machine or shared by several: temp file, fsync, rename.
 *
 * The blob "a/b" of the store "s" is the file `s/a/b~`. No key has a "~", so a blob and the folder of those under it
 * never get in each other's way, and neither do blobs and temp files, which lie in `~temp` beside the stores.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { PlatenError } from "@platen/proto";
import type { Blob, BlobInfo, BlobStore, BlobStores, PutOptions } from "../../ports/blob.ts";
import { checkBlobKey, checkStoreName } from "../../ports/names.ts";
import { guarded } from "../byte-stream.ts";

const suffix = "~";
const tempFolder = "~temp";
/** A temp file that nobody wrote to for so long was left by a process that died. */
const tempAbandonedMs = 3_600_000;
const readChunkBytes = 256 * 1024;

/** Opens blob stores in a folder, which it makes when it does not exist. */
export async function openFolderBlobStores(dir: string): Promise<BlobStores> {
  const root = resolve(dir);
  const temp = join(root, tempFolder);
  await mkdir(temp, { recursive: true, mode: 0o700 }).catch((cause: Error) => {
    throw new PlatenError("configuration", `cannot make the blob folder ${dir}: ${cause.message}`, { cause });
  });
  await sweepTemp(temp);
  return {
    async store(name: string): Promise<BlobStore> {
      checkStoreName(name);
      return new FolderBlobStore(join(root, name), temp);
    },
    async [Symbol.asyncDispose](): Promise<void> {},
  };
}

async function sweepTemp(temp: string): Promise<void> {
  for (const name of await readdir(temp)) {
    const path = join(temp, name);
    const modifiedMs = (await stat(path).catch(ignore("ENOENT")))?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (modifiedMs < Date.now() - tempAbandonedMs) await rm(path, { recursive: true, force: true });
  }
}

class FolderBlobStore implements BlobStore {
  readonly #root: string;
  readonly #temp: string;

  constructor(root: string, temp: string) {
    this.#root = root;
    this.#temp = temp;
  }

  async put(key: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<number> {
    checkBlobKey(key);
    const temp = this.#tempPath();
    try {
      const sizeBytes = await writeSynced(temp, guarded(bytes, options));
      await this.#moveInto(temp, this.#path(key));
      return sizeBytes;
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    }
  }

  async get(key: string): Promise<Blob | undefined> {
    checkBlobKey(key);
    const path = this.#path(key);
    const found = await stat(path, { bigint: true }).catch(ignore("ENOENT", "ENOTDIR"));
    if (found === undefined) return undefined;
    const sizeBytes = Number(found.size);
    return {
      sizeBytes,
      // A file is never written to once it has its name: the same on every machine that shares the folder.
      version: `${found.ino.toString(36)}-${found.mtimeNs.toString(36)}`,
      async *bytes(startByte = 0) {
        const file = await open(path).catch(ignore("ENOENT"));
        try {
          if (file === undefined || (await file.stat({ bigint: true })).ino !== found.ino) {
            throw new PlatenError("unavailable", `${key} was deleted or replaced meanwhile`);
          }
          for (let position = startByte; position < sizeBytes; ) {
            const buffer = new Uint8Array(Math.min(readChunkBytes, sizeBytes - position));
            const { bytesRead } = await disk(file.read({ buffer, position }));
            if (bytesRead === 0) throw new PlatenError("unavailable", `${key} was cut short on the disk`);
            position += bytesRead;
            yield buffer.subarray(0, bytesRead);
          }
        } finally {
          await file?.close();
        }
      },
    };
  }

  async delete(key: string): Promise<void> {
    checkBlobKey(key);
    const path = this.#path(key);
    await disk(rm(path, { force: true }));
    // Moved away first: all that is under the key goes at once, and a put at the same time finds no half-deleted folder.
    const trash = this.#tempPath();
    const moved = await rename(path.slice(0, -suffix.length), trash).then(() => true, ignore("ENOENT"));
    if (moved) await rm(trash, { recursive: true, force: true });
    await this.#pruneFolders(dirname(path));
  }

  async *list(prefix?: string): AsyncGenerator<BlobInfo> {
    if (prefix === undefined) {
      yield* this.#walk("");
      return;
    }
    checkBlobKey(prefix);
    const own = await this.#info(prefix);
    if (own) yield own;
    yield* this.#walk(`${prefix}/`);
  }

  async *#walk(under: string): AsyncGenerator<BlobInfo> {
    const folder = join(this.#root, under);
    for (const child of (await readdir(folder, { withFileTypes: true }).catch(ignore("ENOENT"))) ?? []) {
      if (child.isDirectory()) {
        yield* this.#walk(`${under}${child.name}/`);
      } else if (child.name.endsWith(suffix)) {
        const info = await this.#info(under + child.name.slice(0, -suffix.length));
        if (info) yield info;
      }
    }
  }

  async #info(key: string): Promise<BlobInfo | undefined> {
    const found = await stat(this.#path(key)).catch(ignore("ENOENT", "ENOTDIR"));
    return found && { key, sizeBytes: found.size, modifiedMs: found.mtimeMs };
  }

  #path(key: string): string {
    return join(this.#root, key) + suffix;
  }

  #tempPath(): string {
    return join(this.#temp, randomBytes(12).toString("hex"));
  }

  async #moveInto(temp: string, path: string): Promise<void> {
    const folder = dirname(path);
    for (let tries = 0; ; tries++) {
      try {
        const made = await mkdir(folder, { recursive: true, mode: 0o700 });
        await rename(temp, path);
        await syncFolders(folder, made === undefined ? folder : dirname(made));
        return;
      } catch (error) {
        // Somebody deleted what was under the key, and the folder with it.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT" || tries === 10) throw diskError(error);
      }
    }
  }

  /** Removes folders that became empty. */
  async #pruneFolders(from: string): Promise<void> {
    for (let folder = from; folder.length > this.#root.length; folder = dirname(folder)) {
      const removed = await rmdir(folder).then(
        () => true,
        () => false,
      );
      if (!removed) return;
    }
  }
}

/** Writes a new file, and resolves to its size when it is on the disk. */
async function writeSynced(path: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
  await using file = await disk(open(path, "wx", 0o600));
  let sizeBytes = 0;
  for await (const chunk of bytes) {
    await disk(file.writeFile(chunk));
    sizeBytes += chunk.byteLength;
  }
  await disk(file.sync());
  return sizeBytes;
}

/** Makes names that were added to a folder, and to those above it up to `last`, survive a power cut. */
async function syncFolders(first: string, last: string): Promise<void> {
  for (let folder = first; folder.length >= last.length; folder = dirname(folder)) {
    const handle = await open(folder).catch(ignore("ENOENT"));
    try {
      await handle?.sync();
    } finally {
      await handle?.close();
    }
  }
}

/** Makes a missing file an answer instead of an error. */
const ignore =
  (...codes: string[]) =>
  (error: NodeJS.ErrnoException): undefined => {
    if (error.code !== undefined && codes.includes(error.code)) return undefined;
    throw diskError(error);
  };

/** An operation on files, failing with a PlatenError. What the source of the bytes throws is left as it is. */
const disk = <T>(operation: Promise<T>): Promise<T> =>
  operation.catch((error: unknown) => {
    throw diskError(error);
  });

function diskError(error: unknown): PlatenError {
  const { code, message } = error as NodeJS.ErrnoException;
  const sentence =
    code === "ENOSPC" ? "the disk of the blob folder is full" : `the blob folder failed: ${message}`;
  return new PlatenError("unavailable", sentence, { cause: error });
}

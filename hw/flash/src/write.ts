/** Writes an image to a card, or to a file, and reads it back. */
import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { access, type FileHandle, open, stat } from "node:fs/promises";
import { spawn } from "node:child_process";
import { pipeline } from "node:stream/promises";
import { PassThrough } from "node:stream";
import { createZstdDecompress } from "node:zlib";
import { PlatenError } from "@platen/proto";
import { requirePrograms, run } from "./command.ts";

const chunkBytes = 4 * 1024 * 1024;

export interface WriteProgress {
  readonly phase: "writing" | "verifying";
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface WriteOptions {
  /** .img, .img.zst or .img.xz */
  readonly image: string;
  /** A disk's device, or a file. */
  readonly to: string;
  /** Of the image, undone: see imageBytes. */
  readonly totalBytes: number;
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The image, undone, in pieces of any length. */
async function* contents(image: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const file = createReadStream(image, { highWaterMark: chunkBytes, ...(signal && { signal }) });
  const undone = new PassThrough({ highWaterMark: chunkBytes });
  const options = signal ? { signal } : {};
  if (image.endsWith(".zst")) {
    const flow = pipeline(file, createZstdDecompress(), undone, options);
    flow.catch(() => {});
    yield* undone as AsyncIterable<Buffer>;
    await flow;
  } else if (image.endsWith(".xz")) {
    await requirePrograms(["xz"]);
    const xz = spawn("xz", ["--decompress", "--stdout", image], {
      stdio: ["ignore", "pipe", "inherit"],
      ...options,
    });
    file.destroy();
    const ended = new Promise<number | null>((resolve, reject) =>
      xz.once("close", resolve).once("error", reject),
    );
    ended.catch(() => {});
    yield* xz.stdout as AsyncIterable<Buffer>;
    if ((await ended) !== 0)
      throw new PlatenError("invalid-argument", `${image} is damaged: xz cannot undo it`);
  } else yield* file as AsyncIterable<Buffer>;
}

/** The same in pieces of `chunkBytes`, as a card takes them best; the last may be shorter. The buffer is used again. */
async function* chunksOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const chunk = Buffer.alloc(chunkBytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const count = piece.copy(chunk, filled, at);
      at += count;
      filled += count;
      if (filled === chunkBytes) {
        yield chunk;
        filled = 0;
      }
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

/** Throws `invalid-argument` when there is no image that can be read. */
export async function requireImage(image: string): Promise<void> {
  await access(image, constants.R_OK).catch((cause: NodeJS.ErrnoException) => {
    const message =
      cause.code === "ENOENT" || cause.code === "ENOTDIR"
        ? `there is no image ${image}: build it first (sudo platen-flash build)`
        : `${image} cannot be read: ${cause.message}`;
    throw new PlatenError("invalid-argument", message, { cause });
  });
}

/** Bytes of the image, undone. Throws `invalid-argument` when there is none, or it cannot be undone. */
export async function imageBytes(image: string, signal?: AbortSignal): Promise<number> {
  await requireImage(image);
  if (!/\.(zst|xz)$/.test(image)) return (await stat(image)).size;
  let bytes = 0;
  try {
    for await (const piece of contents(image, signal)) bytes += piece.length;
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof PlatenError) throw cause;
    throw new PlatenError("invalid-argument", `${image} is damaged: ${(cause as Error).message}`, { cause });
  }
  return bytes;
}

/**
 * Writes, syncs, reads back (a device past the system's cache), and compares. Resolves to the image's SHA-256. Throws
 * `internal` when what is read is not what was written: the card is worn out or not what it says it is.
 */
export async function writeTo(options: WriteOptions): Promise<string> {
  const { image, to, totalBytes, onProgress = () => {}, signal } = options;
  const written = createHash("sha256");
  const isDevice = (await stat(to).catch(() => undefined))?.isBlockDevice() ?? false;
  {
    // Exclusive: the kernel refuses a device that something has mounted since we looked.
    const flags = isDevice
      ? constants.O_WRONLY | constants.O_EXCL
      : constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC;
    await using out = await open(to, flags);
    let doneBytes = 0;
    for await (const chunk of chunksOf(contents(image, signal))) {
      written.update(chunk);
      await writeAll(out, chunk, doneBytes);
      doneBytes += chunk.length;
      // As it goes, or the cache takes it all at once and progress is a lie.
      await out.datasync();
      onProgress({ phase: "writing", doneBytes, totalBytes });
      signal?.throwIfAborted();
    }
    await out.sync();
  }
  const expected = written.digest("hex");
  const read = await readBack(to, totalBytes, isDevice, onProgress, signal);
  if (read !== expected) {
    throw new PlatenError(
      "internal",
      `${to} does not hold what was written: the card is worn out, or smaller than it says`,
    );
  }
  return expected;
}

async function writeAll(out: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await out.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
}

async function readBack(
  path: string,
  totalBytes: number,
  isDevice: boolean,
  onProgress: (progress: WriteProgress) => void,
  signal?: AbortSignal,
): Promise<string> {
  // What the system still holds in memory says nothing about the card.
  if (isDevice) await run("blockdev", ["--flushbufs", path], { signal });
  await using file = await open(path);
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(chunkBytes);
  for (let doneBytes = 0; doneBytes < totalBytes; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, doneBytes);
    if (bytesRead === 0) break;
    const count = Math.min(bytesRead, totalBytes - doneBytes);
    hash.update(buffer.subarray(0, count));
    doneBytes += count;
    onProgress({ phase: "verifying", doneBytes, totalBytes });
  }
  return hash.digest("hex");
}

/**
 * Bundles (`@platen/proto/bundle` has their head): packed from a folder, checked, unpacked into one. They are read as streams:
 * memory does not depend on their size.
 */
import { createHash, type KeyObject } from "node:crypto";
import { type FileHandle, mkdtemp, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createZstdDecompress } from "node:zlib";
import { PlatenError } from "@platen/proto";
import {
  type BundleHead,
  bundleFormat,
  decodeHead,
  encodeHead,
  headMaxBytes,
  type KeySet,
  keyIdOf,
  type Manifest,
  type ManifestInput,
  manifestSchema,
  levelOf,
} from "@platen/proto/bundle";
import { type Disk, disk as realDisk, diskError, readFrom } from "./disk.ts";
import { packTar, type TarSize, unpackTar } from "./tar.ts";
import { compressZstd, windowLog } from "./zstd.ts";

const invalid = (what: string, cause?: unknown): PlatenError =>
  new PlatenError("update-invalid", `the bundle ${what}`, { cause });

export interface PackOptions {
  /** What goes in: all that is below it. */
  readonly folder: string;
  readonly manifest: ManifestInput;
  /** A release key, ed25519. */
  readonly privateKey: KeyObject;
  /** The bundle; it appears when it is whole. */
  readonly file: string;
  /** Of Zstandard, 1 to 19. */
  readonly level?: number;
}

/** Packs and signs. The same folder, manifest and key make the same bytes. Throws `update-invalid`. Resolves to the manifest. */
export async function packBundle(options: PackOptions): Promise<Manifest> {
  const { folder, privateKey, file, level = 19 } = options;
  const work = await mkdtemp(join(dirname(file), `.${basename(file)}-`));
  try {
    const size: TarSize = { files: 0, bytes: 0 };
    const compressed = join(work, "payload");
    {
      await using out = await open(compressed, "wx");
      for await (const part of compressZstd(packTar(folder, size), level)) await out.writeFile(part);
    }
    await using payload = await open(compressed);
    const { size: sizeBytes } = await payload.stat();
    const manifest = manifestSchema.safeParse({
      ...options.manifest,
      format: bundleFormat,
      updaterMin: levelOf(options.manifest.kind),
      keyId: keyIdOf(privateKey),
      payload: { sizeBytes, sha256: await hashOf(payload, 0), unpackedBytes: size.bytes, files: size.files },
    });
    if (!manifest.success) {
      const mistakes = manifest.error.issues.map(({ path, message }) => [...path, message].join(": "));
      throw invalid(`cannot be made: ${mistakes.join("; ")}`);
    }
    const whole = join(work, "bundle");
    {
      await using out = await open(whole, "wx");
      await out.writeFile(encodeHead(manifest.data, privateKey));
      for await (const chunk of readFrom(payload, 0)) await out.writeFile(chunk);
      await out.sync();
    }
    await rename(whole, file);
    return manifest.data;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function hashOf(file: FileHandle, start: number, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of readFrom(file, start, signal)) hash.update(chunk);
  return hash.digest("hex");
}

async function readHead(file: FileHandle, keys: KeySet): Promise<BundleHead> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headMaxBytes), 0, headMaxBytes, 0);
  return decodeHead(buffer.subarray(0, bytesRead), keys);
}

async function check(file: FileHandle, keys: KeySet, signal?: AbortSignal): Promise<BundleHead> {
  const head = await readHead(file, keys);
  const { sizeBytes, sha256 } = head.manifest.payload;
  const { size } = await file.stat();
  if (size !== head.payloadStart + sizeBytes) {
    throw invalid(size < head.payloadStart + sizeBytes ? "is cut short" : "goes on after its end");
  }
  if ((await hashOf(file, head.payloadStart, signal)) !== sha256) throw invalid("is damaged");
  return head;
}

const opened = (path: string): Promise<FileHandle> =>
  open(path).catch((cause: Error) => {
    throw invalid(`cannot be read: ${cause.message}`, cause);
  });

/** Checks who signed a bundle, and not that it is whole. Throws `update-invalid`. */
export async function headOf(path: string, keys: KeySet): Promise<BundleHead> {
  await using file = await opened(path);
  return await readHead(file, keys);
}

/**
 * Checks all of a bundle: who signed it, that it is whole, and that not a bit has changed. Throws `update-invalid`. Nothing
 * but its manifest has been looked into then.
 */
export async function verifyBundle(path: string, keys: KeySet, signal?: AbortSignal): Promise<BundleHead> {
  await using file = await opened(path);
  return await check(file, keys, signal);
}

export interface UnpackOptions {
  readonly signal?: AbortSignal;
  readonly disk?: Disk;
}

/**
 * Unpacks a bundle that `verifyBundle` passed into a folder that is not there yet. The payload is hashed once more on the way,
 * so that what was checked is what was unpacked. Throws `update-invalid`, `disk-full`; the folder then holds a part.
 */
export async function unpackBundle(
  path: string,
  { manifest, payloadStart }: BundleHead,
  folder: string,
  { signal, disk = realDisk }: UnpackOptions = {},
): Promise<void> {
  const { sha256, files, unpackedBytes } = manifest.payload;
  await using file = await opened(path);
  const hash = createHash("sha256");
  const hashed = async function* () {
    for await (const chunk of readFrom(file, payloadStart, signal)) {
      hash.update(chunk);
      yield chunk;
    }
  };
  await disk.makeFolder(folder);
  const unzip = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: windowLog } });
  try {
    await pipeline(hashed, unzip, (archive) =>
      unpackTar(archive as AsyncIterable<Uint8Array>, folder, { files, bytes: unpackedBytes }, disk),
    );
  } catch (error) {
    signal?.throwIfAborted();
    const { code } = error as NodeJS.ErrnoException;
    throw code?.startsWith("ZSTD_") ? invalid("is damaged", error) : diskError(error);
  }
  if (hash.digest("hex") !== sha256) throw invalid("changed while it was unpacked");
}

/**
 * A bundle: one file that holds a version of the app, or of its runtime, and proves where it comes from.
 *
 *     8 bytes   "PLATENB1"
 *     4 bytes   length of the manifest, big endian
 *     manifest  JSON (manifest.ts), signed as these bytes
 *     64 bytes  ed25519 signature (keys.ts)
 *     payload   tar (tar.ts) in Zstandard (RFC 8878), up to the end of the file
 *
 * The manifest holds the payload's size and SHA-256, so the signature covers all of the file. Bundles are read as streams:
 * memory does not depend on their size.
 */
import { createHash, type KeyObject } from "node:crypto";
import { type FileHandle, mkdtemp, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import { PlatenError } from "@platen/proto";
import { type Disk, disk as realDisk, diskError, readFrom } from "./disk.ts";
import { type KeySet, keyIdOf, requireReleaseSignature, signBytes } from "./keys.ts";
import {
  bundleFormat,
  encodeManifest,
  type Manifest,
  type ManifestInput,
  manifestMaxBytes,
  manifestSchema,
  parseManifest,
  updaterLevel,
} from "./manifest.ts";
import { packTar, type TarSize, unpackTar } from "./tar.ts";

const magic = Buffer.from("PLATENB1", "latin1");
const prefixBytes = magic.length + 4;
const signatureBytes = 64;
/** A board with 512 MB unpacks with this much of history: level 19's own, 2^23 bytes. */
const windowLog = 23;

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
    const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_windowLog]: windowLog };
    const compressed = join(work, "payload");
    {
      await using out = await open(compressed, "wx");
      await pipeline(packTar(folder, size), createZstdCompress({ params }), async (parts) => {
        for await (const part of parts) await out.writeFile(part as Uint8Array);
      });
    }
    await using payload = await open(compressed);
    const { size: sizeBytes } = await payload.stat();
    const manifest = manifestSchema.safeParse({
      ...options.manifest,
      format: bundleFormat,
      updaterMin: updaterLevel,
      keyId: keyIdOf(privateKey),
      payload: { sizeBytes, sha256: await hashOf(payload, 0), unpackedBytes: size.bytes, files: size.files },
    });
    if (!manifest.success) {
      const mistakes = manifest.error.issues.map(({ path, message }) => [...path, message].join(": "));
      throw invalid(`cannot be made: ${mistakes.join("; ")}`);
    }
    const bytes = encodeManifest(manifest.data);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    const whole = join(work, "bundle");
    {
      await using out = await open(whole, "wx");
      for (const part of [magic, length, bytes, signBytes("bundle", bytes, privateKey)])
        await out.writeFile(part);
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

async function readExactly(file: FileHandle, start: number, sizeBytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, start);
  if (bytesRead < sizeBytes) throw invalid("is cut short");
  return buffer;
}

export interface Bundle {
  readonly manifest: Manifest;
  /** Where the payload begins in the file, bytes. */
  readonly payloadStart: number;
}

async function readHead(file: FileHandle, keys: KeySet | undefined): Promise<Bundle> {
  const prefix = await readExactly(file, 0, prefixBytes);
  if (!prefix.subarray(0, magic.length).equals(magic)) throw invalid("is none: it begins with other bytes");
  const manifestBytes = prefix.readUInt32BE(magic.length);
  if (manifestBytes > manifestMaxBytes) throw invalid("has a manifest of impossible length");
  const signed = await readExactly(file, prefixBytes, manifestBytes + signatureBytes);
  const bytes = signed.subarray(0, manifestBytes);
  const signature = signed.subarray(manifestBytes);
  // Nothing of the bundle is looked into before it is known to come from somebody trusted.
  if (keys) requireReleaseSignature("bundle", bytes, signature, keys);
  const manifest = parseManifest(bytes);
  return { manifest, payloadStart: prefixBytes + manifestBytes + signatureBytes };
}

async function check(file: FileHandle, keys: KeySet | undefined, signal?: AbortSignal): Promise<Bundle> {
  const bundle = await readHead(file, keys);
  const { sizeBytes, sha256 } = bundle.manifest.payload;
  const { size } = await file.stat();
  if (size !== bundle.payloadStart + sizeBytes) {
    throw invalid(size < bundle.payloadStart + sizeBytes ? "is cut short" : "goes on after its end");
  }
  if ((await hashOf(file, bundle.payloadStart, signal)) !== sha256) throw invalid("is damaged");
  return bundle;
}

const opened = (path: string): Promise<FileHandle> =>
  open(path).catch((cause: Error) => {
    throw invalid(`cannot be read: ${cause.message}`, cause);
  });

/**
 * Checks all of a bundle: who signed it, that it is whole, and that not a bit has changed. Throws `update-invalid`. Nothing
 * but its manifest has been looked into then.
 */
export async function verifyBundle(path: string, keys: KeySet, signal?: AbortSignal): Promise<Bundle> {
  await using file = await opened(path);
  return await check(file, keys, signal);
}

/** The same without a look at the signature: for one who only passes the bundle on to those who do look. */
export async function inspectBundle(path: string, signal?: AbortSignal): Promise<Bundle> {
  await using file = await opened(path);
  return await check(file, undefined, signal);
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
  { manifest, payloadStart }: Bundle,
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

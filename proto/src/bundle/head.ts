/**
 * The head of a bundle, a file that holds a version of a printer's app, of its runtime or of the system below, and proves where it
 * comes from:
 *
 *     8 bytes   "PLATENB1"
 *     4 bytes   length of the manifest, big endian
 *     manifest  JSON (manifest.ts), signed as these bytes
 *     64 bytes  ed25519 signature (keys.ts)
 *     payload   tar in Zstandard (RFC 8878), up to the end of the file
 *
 * The manifest holds the payload's size and SHA-256, so the signature covers all of the file.
 */
import type { KeyObject } from "node:crypto";
import { PlatenError } from "../error.ts";
import { type KeySet, requireReleaseSignature, signBytes } from "./keys.ts";
import { encodeManifest, type Manifest, manifestMaxBytes, parseManifest } from "./manifest.ts";

const magic = Buffer.from("PLATENB1", "latin1");
const prefixBytes = magic.length + 4;
const signatureBytes = 64;

/** No head is longer, bytes. */
export const headMaxBytes: number = prefixBytes + manifestMaxBytes + signatureBytes;

export interface BundleHead {
  readonly manifest: Manifest;
  /** Where the payload begins in the file, bytes. */
  readonly payloadStart: number;
  /** The head itself, as it was signed: what comes before the payload. */
  readonly bytes: Uint8Array;
}

const invalid = (what: string): PlatenError => new PlatenError("update-invalid", `the bundle ${what}`);

export function encodeHead(manifest: Manifest, privateKey: KeyObject): Uint8Array {
  const bytes = encodeManifest(manifest);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([magic, length, bytes, signBytes("bundle", bytes, privateKey)]);
}

/** Whether a file that begins so is meant as a bundle. */
export const isBundle = (start: Uint8Array): boolean => magic.equals(start.subarray(0, magic.length));

/**
 * Reads the head at the beginning of `start`: `headMaxBytes` of the bundle, or all of it where that is less. With keys, nothing
 * is looked into before it is known to come from somebody trusted; without, it is for one who only passes the bundle on to
 * those who do look. Throws `update-invalid`.
 */
export function decodeHead(start: Uint8Array, keys: KeySet | undefined): BundleHead {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  if (!isBundle(start)) throw new PlatenError("update-invalid", "this is no bundle");
  if (bytes.length < prefixBytes) throw invalid("is cut short");
  const manifestBytes = bytes.readUInt32BE(magic.length);
  if (manifestBytes > manifestMaxBytes) throw invalid("has a manifest of impossible length");
  const payloadStart = prefixBytes + manifestBytes + signatureBytes;
  if (bytes.length < payloadStart) throw invalid("is cut short");
  const signed = bytes.subarray(prefixBytes, prefixBytes + manifestBytes);
  const signature = bytes.subarray(prefixBytes + manifestBytes, payloadStart);
  if (keys) requireReleaseSignature("bundle", signed, signature, keys);
  return { manifest: parseManifest(signed), payloadStart, bytes: bytes.subarray(0, payloadStart) };
}

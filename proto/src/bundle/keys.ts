/**
 * Who may sign: two kinds of ed25519 keys (RFC 8032). Release keys sign bundles. Root keys, kept offline, sign the key set: the
 * list of both kinds that a board trusts. A key set that follows another is signed by a root key of the one before, and has a
 * higher number: so a release key that leaked is replaced without touching a board, and an old list cannot be played again.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { PlatenError } from "../error.ts";
import { z } from "zod";

const keySchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  /** The 32 bytes of RFC 8032, base64url. */
  publicKey: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
const keySetSchema = z.strictObject({
  format: z.literal(1),
  /** Counts key sets from 1. */
  number: z.number().int().positive(),
  root: z.array(keySchema).min(1).max(16),
  release: z.array(keySchema).max(16),
});
const envelopeSchema = z.strictObject({
  /** A key set's JSON, as signed. */
  keySet: z.string().max(16 * 1024),
  signatures: z
    .array(z.strictObject({ keyId: z.string(), signature: z.string().max(100) }))
    .min(1)
    .max(16),
});

type PublicKey = z.infer<typeof keySchema>;
export type KeySet = Readonly<z.infer<typeof keySetSchema>>;

/** What is signed begins with what it is, so that no signature passes for one of another thing. */
const signed = (purpose: Purpose, bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`platen.${purpose}.v1\0`), bytes]);
export type Purpose = "bundle" | "key-set" | "downgrade";

const invalid = (what: string, cause?: unknown): PlatenError =>
  new PlatenError("update-invalid", what, { cause });

function publicKeyOf(key: KeyObject): PublicKey {
  const { kty, crv, x } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  if (kty !== "OKP" || crv !== "Ed25519" || x === undefined) {
    throw new PlatenError("configuration", "the key is not an ed25519 key");
  }
  return { id: idOf(x), publicKey: x };
}

const idOf = (publicKey: string): string =>
  createHash("sha256").update(Buffer.from(publicKey, "base64url")).digest("hex").slice(0, 16);

/** The name of a key, public or private: the first 16 hexadecimal digits of the SHA-256 of its public part. */
export const keyIdOf = (key: KeyObject): string => publicKeyOf(key).id;

/** 64 bytes. */
export const signBytes = (purpose: Purpose, bytes: Uint8Array, privateKey: KeyObject): Uint8Array =>
  sign(null, signed(purpose, bytes), privateKey);

function verified(purpose: Purpose, bytes: Uint8Array, signature: Uint8Array, key: PublicKey): boolean {
  const publicKey = createPublicKey({
    key: { kty: "OKP", crv: "Ed25519", x: key.publicKey },
    format: "jwk",
  });
  return verify(null, signed(purpose, bytes), publicKey, signature);
}

/** Throws `update-invalid` unless one of the set's release keys signed the bytes. */
export function requireReleaseSignature(
  purpose: "bundle" | "downgrade",
  bytes: Uint8Array,
  signature: Uint8Array,
  keys: KeySet,
): void {
  if (!keys.release.some((key) => verified(purpose, bytes, signature, key))) {
    throw invalid(`the signature of the ${purpose} is wrong, or of a key that is not trusted`);
  }
}

/**
 * A key set, signed: by the new root key and, where it follows another set, by a root key of that one.
 * Throws `configuration` for keys that are not ed25519.
 */
export function signKeySet(
  set: {
    readonly number: number;
    readonly root: readonly KeyObject[];
    readonly release: readonly KeyObject[];
  },
  signers: readonly KeyObject[],
): Uint8Array {
  const { number, root, release } = set;
  const keySet = JSON.stringify({
    format: 1,
    number,
    root: root.map(publicKeyOf),
    release: release.map(publicKeyOf),
  } satisfies KeySet);
  const signatures = signers.map((signer) => ({
    keyId: keyIdOf(signer),
    signature: Buffer.from(signBytes("key-set", Buffer.from(keySet), signer)).toString("base64url"),
  }));
  return Buffer.from(`${JSON.stringify({ keySet, signatures })}\n`);
}

/**
 * Reads a key set. Without `present` it is the first, from the image: its own root key must have signed it. Else a root key of
 * `present` must have, and its number must be higher (the same set again is given back). Throws `update-invalid`.
 */
export function openKeySet(bytes: Uint8Array, present?: KeySet): KeySet {
  let set: KeySet;
  let envelope: z.infer<typeof envelopeSchema>;
  try {
    envelope = envelopeSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
    set = Object.freeze(keySetSchema.parse(JSON.parse(envelope.keySet)));
  } catch (cause) {
    throw invalid("the key set cannot be read", cause);
  }
  if ([...set.root, ...set.release].some(({ id, publicKey }) => id !== idOf(publicKey))) {
    throw invalid("a key of the key set has another key's name");
  }
  const isSignedBy = (roots: readonly PublicKey[]): boolean =>
    envelope.signatures.some(({ keyId, signature }) => {
      const key = roots.find(({ id }) => id === keyId);
      return (
        key && verified("key-set", Buffer.from(envelope.keySet), Buffer.from(signature, "base64url"), key)
      );
    });
  if (!isSignedBy(set.root)) throw invalid("no root key of the key set has signed it");
  if (!present) return set;
  if (!isSignedBy(present.root)) throw invalid("no root key that is trusted has signed the key set");
  if (set.number === present.number && JSON.stringify(set) === JSON.stringify(present)) return present;
  if (set.number <= present.number) {
    throw invalid(`key set ${set.number} is out of date: ${present.number} is known already`);
  }
  return set;
}

/**
 * Permission to go back: from exactly one version to exactly one bundle, signed by a release key. A backend in the wrong hands
 * has old bundles with good signatures; without a permit no board takes them.
 */
import type { KeyObject } from "node:crypto";
import { z } from "zod";
import { PlatenError } from "../error.ts";
import { type KeySet, requireReleaseSignature, signBytes } from "./keys.ts";

const permitSchema = z.strictObject({
  format: z.literal(1),
  /** The version that runs. */
  from: z.string().max(64),
  /** SHA-256 of the payload of the bundle that may take its place. */
  to: z.string().regex(/^[0-9a-f]{64}$/),
});
export type DowngradePermit = Readonly<z.infer<typeof permitSchema>>;

const envelopeSchema = z.strictObject({ permit: z.string().max(1024), signature: z.string().max(100) });

export function signDowngrade(permit: Omit<DowngradePermit, "format">, releaseKey: KeyObject): Uint8Array {
  const text = JSON.stringify(permitSchema.parse({ format: 1, ...permit }));
  const signature = Buffer.from(signBytes("downgrade", Buffer.from(text), releaseKey)).toString("base64url");
  return Buffer.from(`${JSON.stringify({ permit: text, signature })}\n`);
}

/** Throws `update-invalid` for what is no permit, or is signed by nobody trusted. */
export function openDowngrade(bytes: Uint8Array, keys: KeySet): DowngradePermit {
  let envelope: z.infer<typeof envelopeSchema>;
  try {
    envelope = envelopeSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (cause) {
    throw new PlatenError("update-invalid", "the permit to go back cannot be read", { cause });
  }
  const text = Buffer.from(envelope.permit);
  requireReleaseSignature("downgrade", text, Buffer.from(envelope.signature, "base64url"), keys);
  return Object.freeze(permitSchema.parse(JSON.parse(envelope.permit)));
}

/** What print data are, told from their first bytes: names and headers lie, the converter reads bytes. */

/** What the converter takes. */
export type MediaType = "application/pdf" | "image/jpeg" | "image/png";

/** How many of the first bytes `sniffMediaType` looks at. */
export const sniffBytes = 1024;

const jpeg = [0xff, 0xd8, 0xff];
const png = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

const startsWith = (bytes: Uint8Array, signature: readonly number[]): boolean =>
  signature.every((byte, i) => bytes[i] === byte);

/**
 * The media type that the first bytes of a document tell, or undefined. A PDF's header may stand anywhere within the first
 * 1024 bytes (ISO 32000-1 annex H.3.4.1, implementation note 13): mail gateways and old drivers put text before it.
 */
export function sniffMediaType(firstBytes: Uint8Array): MediaType | undefined {
  if (startsWith(firstBytes, jpeg)) return "image/jpeg";
  if (startsWith(firstBytes, png)) return "image/png";
  const head = Buffer.from(firstBytes.subarray(0, sniffBytes));
  return head.includes("%PDF-") ? "application/pdf" : undefined;
}

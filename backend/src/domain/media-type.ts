/** What print data are, told from their first bytes: names and headers lie, the converter reads bytes. */

import { PlatenError } from "@platen/proto";

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

/** What people take for printable, so that a refusal can say what it is that they have. */
const others: readonly (readonly [RegExp, string])[] = [
  [/^(II\*\0|MM\0\*)/, "a TIFF image"],
  [/^GIF8[79]a/, "a GIF image"],
  [/^RIFF[^]{4}WEBP/, "a WebP image"],
  [/^[^]{4}ftyp(heic|heix|mif1|avif)/, "a HEIF or AVIF image"],
  [/^BM[^]{4}\0{4}/, "a BMP image"],
  [/^%!PS/, "PostScript"],
  [/^PK[^\s\w]{2}/, "a ZIP archive or an office document"],
  [/^\s*<(!doctype html|html|svg|\?xml)/i, "HTML, SVG or XML"],
];

/** Why a document that `sniffMediaType` does not know is refused. */
export function unknownFormat(firstBytes: Uint8Array): PlatenError {
  const head = Buffer.from(firstBytes.subarray(0, sniffBytes)).toString("latin1");
  const what = others.find(([pattern]) => pattern.test(head))?.[1] ?? "neither PDF nor JPEG nor PNG";
  return new PlatenError(
    "document-format",
    `the document is ${what}: make it a PDF, JPEG or PNG to print it`,
  );
}

/** What a document is, by its first bytes. Throws `document-format`. */
export function requireMediaType(firstBytes: Uint8Array): MediaType {
  const mediaType = sniffMediaType(firstBytes);
  if (!mediaType) throw unknownFormat(firstBytes);
  return mediaType;
}

/** The first bytes of a document that comes by in chunks. */
export class DocumentHead {
  #bytes = Buffer.alloc(0);

  /** Whether it is complete with this chunk. */
  add(chunk: Uint8Array): boolean {
    const lacking = sniffBytes - this.#bytes.length;
    if (lacking === 0) return false;
    this.#bytes = Buffer.concat([this.#bytes, chunk.subarray(0, lacking)]);
    return chunk.length >= lacking;
  }

  /** Throws `document-format`. */
  mediaType(): MediaType {
    return requireMediaType(this.#bytes);
  }
}

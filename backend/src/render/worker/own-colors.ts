/**
 * The colour space of an image's own: a wide one is not squeezed into sRGB, which has less of cyan and green than inks have, but
 * goes to the printer as it is, with its ICC profile in the metafile.
 */
import type { Metadata } from "sharp";

/** What the metafile takes. */
const maxBytes = 4 * 1024 * 1024;
/** Input device, display, colour space (ICC.1:2022, 7.2.5). */
const classes = ["scnr", "mntr", "spac"];

/** How a profile for sRGB says so: in the letters of version 2, or of version 4. */
const srgbNames = ["sRGB", "s\0R\0G\0B"].map((name) => Buffer.from(name, "latin1"));

/**
 * The profile of an image with three channels of 8 bits in a space of its own; undefined for all that is turned into sRGB here:
 * greys, CMYK, images without a profile or with one that is no RGB profile by its header, and sRGB itself.
 */
export function ownColors({ icc, channels, depth, hasAlpha, space }: Metadata): Uint8Array | undefined {
  if (!icc || icc.length < 132 || icc.length > maxBytes) return undefined;
  if (space !== "srgb" || depth !== "uchar" || channels !== 3 || hasAlpha) return undefined;
  const letters = (at: number): string => icc.toString("latin1", at, at + 4);
  if (letters(36) !== "acsp" || letters(16) !== "RGB " || !classes.includes(letters(12))) return undefined;
  if (icc.readUInt32BE(0) !== icc.length || ![2, 4].includes(icc[8]!)) return undefined;
  return srgbNames.some((name) => icc.includes(name)) ? undefined : icc;
}

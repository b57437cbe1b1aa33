/** Decodes bands with sharp (libvips, with libjpeg-turbo and libpng beneath), S1407. */
import { type Band, BandContent, BandEncoding, PlatenError } from "@platen/proto";
import sharp, { type Metadata } from "sharp";
import type { BandDecoder } from "../ports/band-decoder.ts";

// Bands differ all, and one at a time is decoded: libvips need not keep what it has done, nor share it out to threads.
sharp.cache(false);
sharp.concurrency(1);

/** How the files of each encoding begin. Nothing else is shown to libvips, which reads a great many formats. */
const signatures: ReadonlyMap<BandEncoding, Uint8Array> = new Map([
  [BandEncoding.JPEG, Uint8Array.of(0xff, 0xd8, 0xff)],
  [BandEncoding.PNG, Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)],
]);

const baseline = 0xc0;

/** The marker of a JPEG's frame header (ITU-T T.81, B.1.1.3), which tells how it is coded; undefined where there is none. */
function frameMarker(data: Uint8Array): number | undefined {
  for (let at = 2; data[at] === 0xff && at + 4 <= data.length; ) {
    const marker = data[at + 1]!;
    const isFrame = (marker & 0xf0) === 0xc0 && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return marker;
    at += 2 + data[at + 2]! * 256 + data[at + 3]!;
  }
  return undefined;
}

/** Why what the header says is not the band, or undefined. */
function objection(header: Metadata, band: Band, widthPx: number): string | undefined {
  const color = band.content === BandContent.COLOR;
  if (header.width !== widthPx || header.height !== band.rowsPx) {
    return `the data have ${header.width} × ${header.height} pixels, not ${widthPx} × ${band.rowsPx}`;
  }
  if (header.depth !== "uchar") return `the data have more than 8 bits a channel`;
  if (header.space !== (color ? "srgb" : "b-w") || header.channels !== (color ? 3 : 1)) {
    return `the data are ${header.space} with ${header.channels} channels, not ${color ? "sRGB" : "grey"}`;
  }
  return header.isProgressive ? "the data are progressive, which takes a whole picture's memory" : undefined;
}

export const sharpDecoder: BandDecoder = {
  async decode(band, widthPx) {
    const refuse = (what: string, cause?: unknown): never => {
      throw new PlatenError("page-invalid", `band at row ${band.yPx}: ${what}`, { cause });
    };
    const color = band.content === BandContent.COLOR;
    const signature = signatures.get(band.encoding);
    if (!signature?.every((byte, i) => band.data[i] === byte))
      refuse("the data are not what their encoding says");
    const limitInputPixels = widthPx * band.rowsPx;
    // The page is in sRGB by contract; a profile inside would only change its numbers.
    const image = sharp(band.data, { failOn: "warning", limitInputPixels, ignoreIcc: true });
    const header = await image
      .metadata()
      .catch((cause: Error) => refuse(`the data cannot be read: ${cause.message}`, cause));
    const wrong = objection(header, band, widthPx);
    if (wrong) refuse(wrong);
    // libjpeg reads arithmetic coding too, and makes what it will of one for the other.
    if (band.encoding === BandEncoding.JPEG && frameMarker(band.data) !== baseline)
      refuse("the data are a JPEG that is not baseline");
    const pixels = await image
      .toColourspace(color ? "srgb" : "b-w")
      .raw()
      .toBuffer()
      .catch((cause: Error) => refuse(`the data are damaged: ${cause.message}`, cause));
    const sizeBytes = limitInputPixels * (color ? 3 : 1);
    if (pixels.length !== sizeBytes) refuse(`${pixels.length} bytes of pixels came out, not ${sizeBytes}`);
    return pixels;
  },
};

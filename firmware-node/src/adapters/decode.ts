/** Decodes bands with sharp (libvips, with libjpeg-turbo and libpng beneath), S1407. */
import { type Band, BandContent, BandEncoding, PlatenError } from "@platen/proto";
import type { Sharp } from "sharp";
import type { BandDecoder } from "../ports/band-decoder.ts";

// libvips (8.18) ends a thread that has had nothing to do for 15 s. Work that it is given at this very moment, while it waits
// for a core, is never done: a band, and with it the print, hangs for good. Of a set number it ends none, and three is the
// least it takes. It reads this when it is loaded.
process.env.VIPS_MAX_THREADS ??= "3";
const { default: sharp } = await import("sharp");

// Bands differ all, and are small: libvips need not keep what it has done, nor share one out to threads. Several at a time share its three.
sharp.cache(false);
sharp.concurrency(1);

/** How the files of each encoding begin. Nothing else is shown to libvips, which reads a great many formats. */
const signatures: ReadonlyMap<BandEncoding, Uint8Array> = new Map([
  [BandEncoding.JPEG, Uint8Array.of(0xff, 0xd8, 0xff)],
  [BandEncoding.PNG, Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)],
]);

const baseline = 0xc0;

/** What the header of an image says. */
interface Header {
  readonly widthPx: number;
  readonly rowsPx: number;
  readonly depthBits: number;
  /** One is grey, three are sRGB. */
  readonly channels: number;
}

/**
 * The frame header of a JPEG (ITU-T T.81, B.2.2), or what is wrong with it. Read here, since libjpeg reads more than baseline
 * (arithmetic coding for one, and makes what it will of one for the other), and to ask libvips costs a twentieth of the decoding.
 */
function jpegHeader(data: Uint8Array): Header | string {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 2; at + 10 <= data.length && data[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
    const marker = data[at + 1]!;
    const isFrame = (marker & 0xf0) === 0xc0 && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (!isFrame) continue;
    if (marker !== baseline) return "the data are a JPEG that is not baseline";
    return {
      depthBits: data[at + 4]!,
      rowsPx: view.getUint16(at + 5),
      widthPx: view.getUint16(at + 7),
      channels: data[at + 9]!,
    };
  }
  return "the data are a JPEG without a frame";
}

/** The header of a PNG; throws what libvips says. */
async function pngHeader(image: Sharp): Promise<Header | string> {
  const { width, height, depth, channels, isProgressive } = await image.metadata();
  if (isProgressive) return "the data are interlaced, which takes a whole picture's memory";
  return { widthPx: width, rowsPx: height, depthBits: depth === "uchar" ? 8 : 16, channels };
}

/** Why what the header says is not the band, or undefined. */
function objection(header: Header, band: Band, widthPx: number): string | undefined {
  const channels = band.content === BandContent.COLOR ? 3 : 1;
  if (header.widthPx !== widthPx || header.rowsPx !== band.rowsPx) {
    return `the data have ${header.widthPx} × ${header.rowsPx} pixels, not ${widthPx} × ${band.rowsPx}`;
  }
  if (header.depthBits !== 8) return "the data have other than 8 bits a channel";
  return header.channels !== channels
    ? `the data have ${header.channels} channels, not ${channels}`
    : undefined;
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
    const header =
      band.encoding === BandEncoding.JPEG
        ? jpegHeader(band.data)
        : await pngHeader(image).catch((cause: Error) =>
            refuse(`the data cannot be read: ${cause.message}`, cause),
          );
    const wrong = typeof header === "string" ? header : objection(header, band, widthPx);
    if (wrong) refuse(wrong);
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

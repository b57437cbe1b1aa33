/** Pages as the backend sends them, A4 at 600 dpi, cut into bands by the backend's own rules. */
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type Band, BandContent, BandEncoding, BandSchema } from "@platen/proto";
import sharp from "sharp";
import { maxBandRowsPx, runsOf } from "../../backend/src/render/worker/bands.ts";
import { pixelContent } from "../../backend/src/render/worker/pixels.ts";
import type { ServedPage } from "../../firmware-node/src/testing/pages.ts";
import { photoPage, textPage } from "../kernel/pages.ts";

export interface BandedPage extends ServedPage {
  readonly name: string;
}

/** Cuts a page; bands of photos are JPEG, those without colour are PNG of one channel. */
async function banded(name: string, jpeg: Buffer): Promise<BandedPage> {
  const { data, info } = await sharp(jpeg, { limitInputPixels: false })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width: widthPx, height: heightPx } = info;
  const pixels = new Uint32Array(data.buffer, data.byteOffset, widthPx * heightPx);
  const bands: Band[] = [];
  for (const run of runsOf(pixels, widthPx)) {
    const end = run.yPx + run.rowsPx;
    if (run.content === pixelContent.blank) {
      bands.push(create(BandSchema, { yPx: run.yPx, rowsPx: run.rowsPx, content: BandContent.BLANK }));
      continue;
    }
    for (let yPx = run.yPx; yPx < end; yPx += maxBandRowsPx(widthPx)) {
      const rowsPx = Math.min(maxBandRowsPx(widthPx), end - yPx);
      const part = sharp(data.subarray(yPx * widthPx * 4, (yPx + rowsPx) * widthPx * 4), {
        raw: { width: widthPx, height: rowsPx, channels: 4 },
      }).removeAlpha();
      const grey = run.content === pixelContent.grey;
      bands.push(
        create(BandSchema, {
          yPx,
          rowsPx,
          content: grey ? BandContent.GREY : BandContent.COLOR,
          encoding: grey ? BandEncoding.PNG : BandEncoding.JPEG,
          data: grey
            ? await part.toColourspace("b-w").png({ compressionLevel: 1 }).toBuffer()
            : await part.jpeg({ quality: 92, chromaSubsampling: "4:4:4", optimiseCoding: false }).toBuffer(),
        }),
      );
    }
  }
  return { name, widthPx, heightPx, bands };
}

/** A photo that fills the page, and a page of text. Throws when the images are not there. */
export async function bandedPages(images: string): Promise<[BandedPage, BandedPage]> {
  const photo = await photoPage(join(images, "derived-a4-600dpi-photo.jpg"));
  const text = await textPage();
  return [await banded("photo", photo.jpeg), await banded("text", text.jpeg)];
}

/** A long sheet: the page at its top and now and then below, with blank rows between. */
export function roll(page: BandedPage, heightPx: number): BandedPage {
  const bands: Band[] = [];
  const stepPx = 8 * page.heightPx;
  for (let top = 0; top + page.heightPx < heightPx; top += stepPx) {
    bands.push(...page.bands.map((band) => ({ ...band, yPx: top + band.yPx })));
    const yPx = top + page.heightPx;
    const rowsPx = Math.min(top + stepPx, heightPx) - yPx;
    bands.push(create(BandSchema, { yPx, rowsPx, content: BandContent.BLANK }));
  }
  return { ...page, name: `${page.name} roll`, heightPx, bands };
}

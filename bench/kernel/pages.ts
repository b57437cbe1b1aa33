/** The pages that are timed: A4 at 600 dpi, as JPEG and wrapped into a PDF for programs that take no JPEG. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";

export interface Page {
  readonly name: string;
  readonly jpeg: Buffer;
  readonly widthPx: number;
  readonly heightPx: number;
}

const widthPx = 4960;
const heightPx = 7016;

/** A page of black text, 10 points, and a coloured heading. */
export async function textPage(): Promise<Page> {
  const words =
    "The platen is the roller that holds the sheet while the print head lays its dots upon it".split(" ");
  const lines = Array.from({ length: 58 }, (_, i) => {
    const line = Array.from({ length: 13 }, (_, j) => words[(i * 7 + j) % words.length]).join(" ");
    return `<text x="500" y="${900 + i * 100}" font-size="83">${line}</text>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${widthPx}" height="${heightPx}" font-family="serif">
    <rect width="100%" height="100%" fill="white"/>
    <text x="500" y="600" font-size="200" fill="#1769aa">Sheets and dots</text>${lines.join("")}</svg>`;
  const jpeg = await sharp(Buffer.from(svg), { limitInputPixels: false })
    .flatten({ background: "white" })
    .jpeg({ quality: 92, chromaSubsampling: "4:4:4" })
    .toBuffer();
  return { name: "text", jpeg, widthPx, heightPx };
}

export async function photoPage(file: string): Promise<Page> {
  const jpeg = await readFile(file);
  const { width, height } = await sharp(jpeg).metadata();
  return { name: "photo", jpeg, widthPx: width, heightPx: height };
}

/** Rows of a band: enough that a decoder's beginnings do not count, few enough for a small memory. */
export const bandRows = 256;

/** The page as the backend sends it: JPEG bands as good as its own JPEG. */
export function bandsOf({ jpeg, widthPx, heightPx }: Page, pixels: Uint8Array): Promise<Buffer[]> {
  const starts = Array.from({ length: Math.ceil(heightPx / bandRows) }, (_, i) => i * bandRows);
  return Promise.all(
    starts.map(async (y) => {
      const height = Math.min(bandRows, heightPx - y);
      const band = pixels.subarray(y * widthPx * 3, (y + height) * widthPx * 3);
      const { chromaSubsampling = "4:2:0" } = await sharp(jpeg).metadata();
      return sharp(band, { raw: { width: widthPx, height, channels: 3 } })
        .jpeg({ quality: 92, chromaSubsampling, optimiseCoding: false })
        .toBuffer();
    }),
  );
}

/** Writes `NAME.jpg` and `NAME.pdf`, one page of A4 with nothing but the JPEG. */
export async function writeFiles({ name, jpeg, widthPx, heightPx }: Page, folder: string): Promise<void> {
  const size = [(widthPx * 72) / 600, (heightPx * 72) / 600].map((points) => points.toFixed(3));
  const drawing = `${size[0]} 0 0 ${size[1]} 0 0 cm /I Do`;
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    `<</Type/Page/Parent 2 0 R/MediaBox[0 0 ${size.join(" ")}]/Resources<</XObject<</I 5 0 R>>>>/Contents 4 0 R>>`,
    `<</Length ${drawing.length}>>\nstream\n${drawing}\nendstream`,
    `<</Type/XObject/Subtype/Image/Width ${widthPx}/Height ${heightPx}/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode/Length ${jpeg.length}>>\nstream\n${jpeg.toString("latin1")}\nendstream`,
  ];
  let pdf = "%PDF-1.4\n";
  const offsets = objects.map((object, i) => {
    const offset = pdf.length;
    pdf += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const table = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  const trailer = `trailer\n<</Size ${objects.length + 1}/Root 1 0 R>>\nstartxref\n${pdf.length}\n%%EOF\n`;
  pdf += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}${trailer}`;
  await writeFile(join(folder, `${name}.jpg`), jpeg);
  await writeFile(join(folder, `${name}.pdf`), pdf, "latin1");
}

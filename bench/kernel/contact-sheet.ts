/** A picture of what halftones make of flat tints, enlarged. */
import sharp from "sharp";
import type { Halftone } from "./halftones.ts";

const tints = [0.01, 0.02, 0.05, 0.1, 0.33, 0.5, 0.66, 0.95];
const sidePx = 256;
/** Dots shown of each patch, from its top edge on, and pixels a dot. */
const shownDots = 64;
const dotPx = 3;
const gapPx = 6;
const labelPx = 18;

const planeNames = ["cyan", "magenta", "yellow", "black"];

interface Row {
  readonly label: string;
  readonly halftone: Halftone;
  readonly plane: number;
}

/** All planes of the first halftone, and of the others, which treat planes alike, one. Returns a PNG. */
export async function contactSheet(halftones: ReadonlyMap<string, Halftone>): Promise<Buffer> {
  const rows: Row[] = [...halftones].flatMap(([name, halftone], i) =>
    (i === 0 ? [3, 0, 1, 2] : [3]).map((plane) => ({
      label: i === 0 ? `${name}, ${planeNames[plane]}` : name,
      halftone,
      plane,
    })),
  );
  const cellPx = shownDots * dotPx + gapPx;
  const width = tints.length * cellPx + gapPx;
  const height = rows.length * (cellPx + labelPx) + gapPx + labelPx;
  const pixels = new Uint8Array(width * height).fill(255);
  const labels: string[] = [];
  const label = (x: number, y: number, text: string) =>
    labels.push(`<text x="${x}" y="${y}" font-family="sans-serif" font-size="13">${text}</text>`);
  for (const [column, tint] of tints.entries())
    label(column * cellPx + gapPx, labelPx - 4, `${tint * 100} %`);
  for (const [i, { label: name, halftone, plane }] of rows.entries()) {
    const top = labelPx + i * (cellPx + labelPx);
    label(gapPx, top + labelPx - 4, name);
    for (const [column, tint] of tints.entries()) {
      const dots = await halftone(new Float64Array(sidePx * sidePx).fill(tint), sidePx, plane);
      const left = column * cellPx + gapPx;
      for (let y = 0; y < shownDots * dotPx; y++) {
        for (let x = 0; x < shownDots * dotPx; x++) {
          const dot = dots[Math.floor(y / dotPx) * sidePx + sidePx / 2 + Math.floor(x / dotPx)];
          pixels[(top + labelPx + y) * width + left + x] = dot ? 0 : 255;
        }
      }
    }
  }
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${labels.join("")}</svg>`;
  return sharp(pixels, { raw: { width, height, channels: 1 } })
    .composite([{ input: Buffer.from(svg) }])
    .toColourspace("b-w")
    .png({ palette: true, colours: 16, compressionLevel: 9 })
    .toBuffer();
}

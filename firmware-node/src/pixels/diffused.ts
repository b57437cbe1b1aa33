/**
 * The halftoner of ink tables and Shiau–Fan diffusion, plain: the definition of correct for the WebAssembly kernel (kernel.ts),
 * which gives the same bits a great deal faster.
 */
import type { BandKind, Colorant, DotPlane, Halftoner } from "./halftoner.ts";
import { inksOfGrey, type InkTable, interpolate, lightOf } from "./ink-table.ts";
import type { Inks } from "./screen.ts";
import { diffusion } from "./shiau-fan.ts";

/** Pixels in a cell: see ink-table.ts. */
const cellPx = 8;
const black = 3;
const colorants: readonly Colorant[] = ["cyan", "magenta", "yellow", "black"];

/** Writes the coverage of rows of pixels, four entries a pixel: cyan, magenta, yellow, black. */
export function coverageRows(table: InkTable, width: number, inks: Inks) {
  const greyInks = inksOfGrey(inks === "k" ? { ...table, neutrals: "black" } : table);

  const layGrey = (value: number, row: Int16Array, x: number): void =>
    row.set(greyInks.subarray(value * 4, value * 4 + 4), x * 4);

  const grey = (pixels: Uint8Array, offset: number, row: Int16Array): void => {
    for (let x = 0; x < width; x++) layGrey(pixels[offset + x]!, row, x);
  };

  const color = (pixels: Uint8Array, offset: number, row: Int16Array): void => {
    for (let cell = 0; cell < width; cell += cellPx) {
      const end = Math.min(cell + cellPx, width);
      let neutral = true;
      for (let x = cell; x < end; x++) {
        const p = offset + x * 3;
        neutral &&= pixels[p] === pixels[p + 1] && pixels[p] === pixels[p + 2];
      }
      for (let x = cell; x < end; x++) {
        const p = offset + x * 3;
        const [r, g, b] = [pixels[p]!, pixels[p + 1]!, pixels[p + 2]!];
        if (neutral || (r | g | b) === 0 || (r & g & b) === 255) layGrey(r, row, x);
        else if (inks === "cmyk") interpolate(table.cube, r, g, b, row, x * 4);
        else row[x * 4 + black] = table.black[lightOf(table, r, g, b)]!;
      }
    }
  };

  return { grey, color };
}

/** A halftoner for a page `width` pixels wide. */
export function makeDiffused(table: InkTable, width: number, inks: Inks): Halftoner {
  const strideBytes = Math.ceil(width / 8);
  const planes = inks === "k" ? [black] : [0, 1, 2, black];
  const diffusions = planes.map((plane) => diffusion(width, plane));
  const coverage = coverageRows(table, width, inks);
  const row = new Int16Array(width * 4);

  return {
    strideBytes,
    band(kind: BandKind, pixels: Uint8Array, rows: number): readonly DotPlane[] {
      if (kind === "blank") {
        for (const plane of diffusions) plane.skip(rows);
        return [];
      }
      const dots = planes.map((plane) => ({
        colorant: colorants[plane]!,
        bits: new Uint8Array(rows * strideBytes),
      }));
      for (let y = 0; y < rows; y++) {
        if (kind === "grey") coverage.grey(pixels, y * width, row);
        else coverage.color(pixels, y * width * 3, row);
        for (const [i, plane] of planes.entries()) {
          diffusions[i]!.row(row, plane, 4, dots[i]!.bits, y * strideBytes);
        }
      }
      return dots.filter(({ bits }) => bits.some((byte) => byte !== 0));
    },
  };
}

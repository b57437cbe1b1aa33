/**
 * Ink tables and halftones put together, plain: the definition of correct for the WebAssembly kernel (kernel.ts), which gives the
 * same bits a great deal faster.
 */
import type { BandKind, Colorant, DotPlane, Halftoner } from "./halftoner.ts";
import { blackOfGrey, ditherOf, type InkTable, lightOf, noInk, pointOf } from "./ink-table.ts";
import { orderedDither } from "./ordered.ts";
import type { HalftoneName, Inks, PlaneScreen } from "./screen.ts";
import { diffusion } from "./shiau-fan.ts";

/** Pixels in a cell: see ink-table.ts. */
const cellPx = 8;
const black = 3;
const colorants: readonly Colorant[] = ["cyan", "magenta", "yellow", "black"];

/** Writes the coverage of rows of pixels, four entries a pixel: cyan, magenta, yellow, black. */
export function coverageRows(table: InkTable, width: number, inks: Inks) {
  const greyBlack = blackOfGrey(table);
  const throughCube = inks === "cmyk" && table.neutrals === "cube";

  const layGrey = (value: number, row: Int16Array, x: number): void => {
    row.fill(noInk, x * 4, x * 4 + black);
    row[x * 4 + black] = greyBlack[value]!;
  };

  const layColor = (r: number, g: number, b: number, row: Int16Array, x: number, y: number): void => {
    if ((r & g & b) === 255 || ((r | g | b) === 0 && !throughCube)) return layGrey(r, row, x);
    if (inks === "k") {
      row[x * 4 + black] = table.black[lightOf(table, r, g, b)]!;
      return;
    }
    const point = pointOf(r, g, b, ditherOf(x, y));
    for (let ink = 0; ink < 4; ink++) row[x * 4 + ink] = table.cube[point + ink]!;
  };

  /** `y` is the row's place on the page. */
  const grey = (pixels: Uint8Array, offset: number, row: Int16Array, y: number): void => {
    for (let x = 0; x < width; x++) {
      const value = pixels[offset + x]!;
      if (throughCube) layColor(value, value, value, row, x, y);
      else layGrey(value, row, x);
    }
  };

  const color = (pixels: Uint8Array, offset: number, row: Int16Array, y: number): void => {
    for (let cell = 0; cell < width; cell += cellPx) {
      const end = Math.min(cell + cellPx, width);
      let neutral = !throughCube;
      for (let x = cell; x < end; x++) {
        const p = offset + x * 3;
        neutral &&= pixels[p] === pixels[p + 1] && pixels[p] === pixels[p + 2];
      }
      for (let x = cell; x < end; x++) {
        const p = offset + x * 3;
        if (neutral) layGrey(pixels[p]!, row, x);
        else layColor(pixels[p]!, pixels[p + 1]!, pixels[p + 2]!, row, x, y);
      }
    }
  };

  return { grey, color };
}

const screens: Readonly<Record<HalftoneName, (width: number, plane: number) => PlaneScreen>> = {
  "shiau-fan": diffusion,
  ordered: orderedDither,
};

/** A halftoner for a page `width` pixels wide. */
export function referenceHalftoner(
  halftone: HalftoneName,
  table: InkTable,
  width: number,
  inks: Inks,
): Halftoner {
  const strideBytes = Math.ceil(width / 8);
  const planes = inks === "k" ? [black] : [0, 1, 2, black];
  const screensOfPlanes = planes.map((plane) => screens[halftone](width, plane));
  const coverage = coverageRows(table, width, inks);
  const row = new Int16Array(width * 4);
  let pageY = 0;

  return {
    strideBytes,
    band(kind: BandKind, pixels: Uint8Array, rows: number): readonly DotPlane[] {
      if (kind === "blank") {
        for (const screen of screensOfPlanes) screen.skip(rows);
        pageY += rows;
        return [];
      }
      const dots = planes.map((plane) => ({
        colorant: colorants[plane]!,
        bits: new Uint8Array(rows * strideBytes),
      }));
      for (let y = 0; y < rows; y++, pageY++) {
        if (kind === "grey") coverage.grey(pixels, y * width, row, pageY);
        else coverage.color(pixels, y * width * 3, row, pageY);
        // Black first: colours ask where its dots are.
        for (let i = planes.length - 1; i >= 0; i--) {
          const under = planes[i] === black ? undefined : dots.at(-1)!.bits;
          screensOfPlanes[i]!.row(row, planes[i]!, 4, dots[i]!.bits, y * strideBytes, under);
        }
      }
      return dots.filter(({ bits }) => bits.some((byte) => byte !== 0));
    },
  };
}

/** What should lie on a sheet, and what does. */
import type { StackedSheet } from "@platen/hw";
import { idealInks, type InkTable } from "../pixels/ink-table.ts";
import { referenceHalftoner } from "../pixels/reference.ts";
import type { HalftoneName } from "../pixels/screen.ts";
import type { TestPage } from "./pages.ts";

/** Planes by colorant, hexadecimal. */
export type Dots = Readonly<Record<string, string>>;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The planes that the plain reference makes of the whole page at once. */
export function dotsOfPage(
  page: TestPage,
  inks: "k" | "cmyk" = "cmyk",
  halftone: HalftoneName = "shiau-fan",
  table: InkTable = idealInks(),
): Dots {
  const halftoner = referenceHalftoner(halftone, table, page.widthPx, inks);
  const blank = hex(new Uint8Array(halftoner.strideBytes * page.heightPx));
  const planes = halftoner.band("color", page.rgb, page.heightPx);
  const colorants = inks === "k" ? ["black"] : ["cyan", "magenta", "yellow", "black"];
  return Object.fromEntries(
    colorants.map((colorant) => {
      const plane = planes.find((one) => one.colorant === colorant);
      return [colorant, plane ? hex(plane.bits) : blank];
    }),
  );
}

/** The planes of each side of a stacked sheet, front first. */
export const dotsOfSheet = (sheet: StackedSheet): Dots[] =>
  sheet.sides.map(({ planes }) =>
    Object.fromEntries([...planes].map(([colorant, bits]) => [colorant, hex(bits)])),
  );

/**
 * `node kernel-dots.ts`: prints what the kernel makes of a few pages, one line a page, so that machines can be compared. It
 * needs nothing but the kernel, for it runs under emulation too.
 */
import { createHash } from "node:crypto";
import type { BandKind } from "../pixels/halftoner.ts";
import { idealInks } from "../pixels/ink-table.ts";
import type { HalftoneName, Inks } from "../pixels/screen.ts";
import { type LocalKernel, localKernel } from "./local-kernel.ts";

const table = idealInks();

/** Values of a pixel's channels by its place. */
const pages: Readonly<Record<string, (x: number, y: number, channel: number) => number>> = {
  noise: (x, y, channel) => Math.imul(x * 7919 + y * 104_729 + channel * 31, 2654435761) >>> 24,
  ramp: (x, y, channel) => Math.min(255, Math.floor(x / 4) + y + channel * 20),
  greys: (x, y) => (x >> 3) + y,
  text: (x, y) => (((x >> 4) + (y >> 2)) % 3 === 0 ? (x * 37) & 255 : 255),
  white: () => 255,
};

/** A digest of the dots of a page in bands of 13 rows: groups of eight, of four, and single rows. */
function digest(
  made: LocalKernel,
  halftone: HalftoneName,
  value: (x: number, y: number, channel: number) => number,
  inks: Inks,
  kind: BandKind,
) {
  const [width, height, rows] = [603, 26, 13];
  const channels = kind === "grey" ? 1 : 3;
  const halftoner = made.halftoner(halftone, width, inks);
  const hash = createHash("sha256");
  for (let top = 0; top < height; top += rows) {
    const pixels = Uint8Array.from({ length: width * rows * channels }, (_, i) => {
      const pixel = Math.floor(i / channels);
      return value(pixel % width, top + Math.floor(pixel / width), i % channels);
    });
    for (const { colorant, bits } of halftoner.band(kind, pixels, rows)) hash.update(colorant).update(bits);
  }
  return hash.digest("hex");
}

for (const neutrals of ["black", "cube"] as const) {
  const made = localKernel({ ...table, neutrals });
  for (const [name, value] of Object.entries(pages)) {
    for (const inks of ["cmyk", "k"] as const) {
      for (const kind of ["color", "grey"] as const) {
        for (const halftone of ["shiau-fan", "ordered"] as const)
          console.log(name, neutrals, inks, kind, halftone, digest(made, halftone, value, inks, kind));
      }
    }
  }
}

/** The kernel on this thread, as a halftoner of pixels that lie anywhere; printing has it on another (threaded-dots.ts). */
import { readFileSync } from "node:fs";
import type { Halftoner } from "../pixels/halftoner.ts";
import type { InkTable } from "../pixels/ink-table.ts";
import { Kernel } from "../pixels/kernel.ts";
import type { HalftoneName, Inks } from "../pixels/screen.ts";
import { fill, makeStrips } from "../pixels/strip-memory.ts";

/** kernel/kernel.wasm. */
export const kernelBytes = new Uint8Array(readFileSync(new URL("../../kernel/kernel.wasm", import.meta.url)));

export interface LocalKernel {
  /** For bands of 4 MiB at most. It lasts until the kernel makes the next one. */
  halftoner(halftone: HalftoneName, width: number, inks: Inks): Halftoner;
}

export function localKernel(table: InkTable): LocalKernel {
  const { memory, strips } = makeStrips(1, 4 * 1024 * 1024);
  const strip = strips[0]!;
  const kernel = new Kernel(kernelBytes, table, memory);
  return {
    halftoner(halftone, width, inks) {
      const page = kernel.page(halftone, width, inks);
      return {
        strideBytes: Math.ceil(width / 8),
        band(kind, pixels, rows) {
          if (kind === "blank") {
            page.skip(rows);
            return [];
          }
          fill(strip, pixels, kind, width, rows);
          return page.dots(kind, strip, rows);
        },
      };
    },
  };
}

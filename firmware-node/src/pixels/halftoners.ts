/** Every halftone by its name. */
import { type Halftoner, makeHalftoner, type ScreenName } from "./halftoner.ts";
import type { Kernel } from "./kernel.ts";
import type { Inks } from "./screen.ts";

/** `shiau-fan` is the kernel's and the best to look at; the others are plain, and read no ink table. */
export type HalftoneName = ScreenName | "shiau-fan";

/** A halftoner for a page `width` pixels wide. */
export type MakeHalftoner = (name: HalftoneName, width: number, inks: Inks) => Halftoner;

export const halftonersOf =
  (kernel: Kernel): MakeHalftoner =>
  (name, width, inks) =>
    name === "shiau-fan" ? kernel.halftoner(width, inks) : makeHalftoner(name, width, inks);

/** The thread behind threaded-dots.ts: the kernel, and the page at work. */
import { workerData } from "node:worker_threads";
import type { BandKind, Colorant, Halftoner } from "../pixels/halftoner.ts";
import type { InkTable } from "../pixels/ink-table.ts";
import { Kernel } from "../pixels/kernel.ts";
import type { DotPage } from "../ports/dot-maker.ts";
import { answerQuestions } from "./thread-side.ts";

export interface DotThreadData {
  /** kernel/kernel.wasm. */
  readonly wasm: Uint8Array<ArrayBuffer>;
}

export type DotQuestion =
  /** With the table of inks, unless it is that of the page before. */
  | { readonly kind: "page"; readonly page: Omit<DotPage, "table">; readonly table?: InkTable }
  | {
      readonly kind: "rows";
      readonly band: BandKind;
      readonly rowsPx: number;
      /** In shared memory; left alone for blank rows. */
      readonly pixels: Uint8Array;
      /** In shared memory: room for the planes, each `rowsPx` × stride bytes. */
      readonly planes: Uint8Array;
    };

/** The planes that have dots, as they lie in `planes`. */
export type DotAnswer = readonly Colorant[];

const { wasm } = workerData as DotThreadData;
let kernel: Kernel | undefined;
let halftoner: Halftoner | undefined;

answerQuestions((question: DotQuestion): { answer: DotAnswer } => {
  if (question.kind === "page") {
    const { halftone, widthPx, inks } = question.page;
    halftoner = undefined;
    if (question.table) kernel = new Kernel(wasm, question.table);
    halftoner = kernel?.halftoner(halftone, widthPx, inks);
    return { answer: [] };
  }
  if (!halftoner) throw new Error("no page has been begun");
  const { band, pixels, rowsPx, planes } = question;
  const sizeBytes = rowsPx * halftoner.strideBytes;
  const laid = halftoner.band(band, pixels, rowsPx);
  for (const [i, { bits }] of laid.entries()) planes.set(bits, i * sizeBytes);
  return { answer: laid.map(({ colorant }) => colorant) };
});

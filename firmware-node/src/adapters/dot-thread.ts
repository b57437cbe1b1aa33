/** The thread behind threaded-dots.ts: the kernel, and the page at work. */
import { workerData } from "node:worker_threads";
import type { DotPlane } from "../pixels/halftoner.ts";
import type { InkTable } from "../pixels/ink-table.ts";
import { Kernel, type KernelPage } from "../pixels/kernel.ts";
import type { PixelKind, Strip } from "../pixels/strip-memory.ts";
import type { DotPage } from "../ports/dot-maker.ts";
import { answerQuestions } from "./thread-side.ts";

export interface DotThreadData {
  /** kernel/kernel.wasm. */
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** Strips lie there. */
  readonly memory: WebAssembly.Memory;
}

export type DotQuestion =
  /** With the table of inks, unless it is that of the page before. */
  | { readonly kind: "page"; readonly page: Omit<DotPage, "table">; readonly table?: InkTable }
  | {
      readonly kind: "rows";
      readonly band: PixelKind;
      readonly strip: Strip;
      readonly rowsPx: number;
    }
  | { readonly kind: "blank"; readonly rowsPx: number };

/** The planes that have dots, in the strip's memory. */
export type DotAnswer = readonly DotPlane[];

const { wasm, memory } = workerData as DotThreadData;
let kernel: Kernel | undefined;
let page: KernelPage | undefined;

function answer(question: DotQuestion): DotAnswer {
  if (question.kind === "page") {
    const { halftone, widthPx, inks } = question.page;
    page = undefined;
    if (question.table) kernel = new Kernel(wasm, question.table, memory);
    page = kernel?.page(halftone, widthPx, inks);
    return [];
  }
  if (!page) throw new Error("no page has been begun");
  if (question.kind === "rows") return page.dots(question.band, question.strip, question.rowsPx);
  page.skip(question.rowsPx);
  return [];
}

answerQuestions((question: DotQuestion) => ({ answer: answer(question) }));

/**
 * Dots made in a thread of their own, so that halftoning, decoding (which has threads too) and the engine's line go on at
 * once. Pixels and planes lie in memory that the threads share: a few strips, whatever the page's size, and whoever has none waits.
 */
import type { BandKind } from "../pixels/halftoner.ts";
import type { InkTable } from "../pixels/ink-table.ts";
import { fill, makeStrips, rowsOf, type Strip } from "../pixels/strip-memory.ts";
import type { DotMaker, DotPage, Dots } from "../ports/dot-maker.ts";
import type { DotAnswer, DotQuestion, DotThreadData } from "./dot-thread.ts";
import { Pool } from "./pool.ts";
import { Thread } from "./thread.ts";

/** Strips at a time: one at the engine, one that waits for it, one that is made. */
const stripCount = 3;
/** Rows of a strip. Engines take strips of about so many, and the kernel works in groups of eight. */
const stripRows = 64;
/** Pixels of a strip at most, bytes: on pages so wide that `stripRows` are more, strips are lower. */
const stripMaxBytes = 4 * 1024 * 1024;

export class ThreadedDots implements DotMaker {
  readonly #thread: Thread<DotQuestion, DotAnswer>;
  readonly #strips: Pool<Strip>;
  #widthPx = 1;
  /** What the thread has. */
  #table: InkTable | undefined;

  constructor({ wasm }: Pick<DotThreadData, "wasm">) {
    const { memory, strips } = makeStrips(stripCount, stripMaxBytes);
    this.#strips = new Pool(strips);
    this.#thread = new Thread({
      module: new URL("./dot-thread.ts", import.meta.url),
      data: { wasm, memory } satisfies DotThreadData,
      name: "halftone",
    });
  }

  get rowsMax(): number {
    const fitting = rowsOf(stripMaxBytes, this.#widthPx);
    return Math.min(stripRows, fitting >= 8 ? fitting & ~7 : fitting);
  }

  async startPage({ table, ...page }: DotPage): Promise<void> {
    this.#widthPx = page.widthPx;
    await this.#ask({ kind: "page", page, ...(table !== this.#table && { table }) });
    this.#table = table;
  }

  async rows(kind: BandKind, pixels: Uint8Array, rowsPx: number, signal: AbortSignal): Promise<Dots> {
    if (kind === "blank") {
      await this.#ask({ kind, rowsPx });
      return { planes: [], [Symbol.dispose]: () => {} };
    }
    const strip = await this.#strips.take(signal);
    try {
      fill(strip, pixels, kind, this.#widthPx, rowsPx);
      const planes = await this.#ask({ kind: "rows", band: kind, strip, rowsPx });
      return { planes, [Symbol.dispose]: () => this.#strips.give(strip) };
    } catch (error) {
      this.#strips.give(strip);
      throw error;
    }
  }

  async #ask(question: DotQuestion): Promise<DotAnswer> {
    try {
      return await this.#thread.ask(question);
    } catch (error) {
      // A thread that crashed has forgotten it.
      this.#table = undefined;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }
}

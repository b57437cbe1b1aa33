/**
 * Dots made in a thread of their own, so that halftoning, decoding (which has threads too) and the engine's line go on at
 * once. Pixels and planes lie in shared memory: a few slots, whatever the page's size, and whoever has no slot waits.
 */
import type { BandKind } from "../pixels/halftoner.ts";
import type { InkTable } from "../pixels/ink-table.ts";
import type { DotMaker, DotPage, Dots } from "../ports/dot-maker.ts";
import type { DotAnswer, DotQuestion, DotThreadData } from "./dot-thread.ts";
import { Pool } from "./pool.ts";
import { Thread } from "./thread.ts";

/** Strips at a time: one at the engine, one that waits for it, one that is made. */
const slotCount = 3;
/** Rows of a strip. Engines take strips of about so many, and the kernel works in groups of 16. */
const stripRows = 64;
/** Pixels of a strip at most, bytes: on pages so wide that `stripRows` are more, strips are lower. */
const stripMaxBytes = 4 * 1024 * 1024;
const planesMax = 4;

/** Memory is taken from the system as it is touched: slots are as large as the widest page printed so far. */
interface Slot {
  readonly pixels: Uint8Array;
  readonly planes: Uint8Array;
}

const nothing = new Uint8Array(0);

const makeSlot = (): Slot => ({
  pixels: new Uint8Array(new SharedArrayBuffer(stripMaxBytes)),
  planes: new Uint8Array(new SharedArrayBuffer((stripMaxBytes / 8) * planesMax)),
});

export class ThreadedDots implements DotMaker {
  readonly #thread: Thread<DotQuestion, DotAnswer>;
  readonly #slots = new Pool(Array.from({ length: slotCount }, makeSlot));
  #widthPx = 1;
  /** What the thread has. */
  #table: InkTable | undefined;

  constructor(data: DotThreadData) {
    this.#thread = new Thread({
      module: new URL("./dot-thread.ts", import.meta.url),
      data,
      name: "halftone",
    });
  }

  get rowsMax(): number {
    const fitting = Math.floor(stripMaxBytes / (this.#widthPx * 3));
    return Math.min(stripRows, fitting >= 16 ? fitting & ~15 : fitting);
  }

  async startPage({ table, ...page }: DotPage): Promise<void> {
    this.#widthPx = page.widthPx;
    await this.#ask({ kind: "page", page, ...(table !== this.#table && { table }) });
    this.#table = table;
  }

  async rows(kind: BandKind, pixels: Uint8Array, rowsPx: number, signal: AbortSignal): Promise<Dots> {
    if (kind === "blank") {
      await this.#ask({ kind: "rows", band: kind, rowsPx, pixels: nothing, planes: nothing });
      return { planes: [], [Symbol.dispose]: () => {} };
    }
    const slot = await this.#slots.take(signal);
    try {
      slot.pixels.set(pixels);
      const own = slot.pixels.subarray(0, pixels.length);
      const colorants = await this.#ask({
        kind: "rows",
        band: kind,
        rowsPx,
        pixels: own,
        planes: slot.planes,
      });
      const sizeBytes = rowsPx * Math.ceil(this.#widthPx / 8);
      const planes = colorants.map((colorant, i) => ({
        colorant,
        bits: slot.planes.subarray(i * sizeBytes, (i + 1) * sizeBytes),
      }));
      return { planes, [Symbol.dispose]: () => this.#slots.give(slot) };
    } catch (error) {
      this.#slots.give(slot);
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

/**
 * A mechanical model of a print engine: a tray of paper, tanks of ink, a paper path, an output tray, a cancel button, and
 * all that goes wrong with them. It takes no time; whoever drives it decides when things happen. Dots are counted as they
 * fall, so that ink runs out in mid-page.
 */

export type Ink = "cyan" | "magenta" | "yellow" | "black";

/** Why an engine stands still, in the words of RFC 8011 section 5.4.12. */
export type Trouble =
  | "media-empty"
  | "media-jam"
  | "marker-supply-empty"
  | "cover-open"
  | "output-area-full"
  | "engine-fault";

export type ModelEvent =
  | { readonly kind: "stopped"; readonly troubles: readonly Trouble[] }
  | { readonly kind: "ready" }
  | { readonly kind: "sheet-stacked"; readonly jobId: string; readonly sheetNumber: number }
  | { readonly kind: "cancel-pressed" };

export interface EngineModelOptions {
  /** Default: all four. */
  inks?: readonly Ink[];
  /** Sheets in a full tray. Default: it never runs out. */
  paperSheets?: number;
  /** Sheets that the output tray holds. Default: any number. */
  outputSheets?: number;
  /** Dots that a full tank of each ink gives. Default: it never runs out. */
  inkDots?: number;
  /** Whether it can tell how much ink is left, and not only that it is low. Default: true. */
  levelSensors?: boolean;
  /** Keep the dots of every stacked sheet in `sheets`. Default: false. */
  keepSheets?: boolean;
}

/** One side to be printed. */
export interface SideStart {
  readonly jobId: string;
  /** Sheets of the job, counted from 1. */
  readonly sheetNumber: number;
  readonly side: "front" | "back";
  /** The sheet goes to the output tray after this side. */
  readonly lastOfSheet: boolean;
  readonly widthPx: number;
  readonly heightPx: number;
}

/** A strip of a side: one bit a dot, most significant bit left, 1 = ink, `strideBytes` × `rowsPx` bytes a plane. */
export interface Strip {
  readonly yPx: number;
  readonly rowsPx: number;
  readonly strideBytes: number;
  readonly planes: readonly { readonly colorant: Ink; readonly bits: Uint8Array }[];
}

/** The dots of one side as they lie on the paper. */
export interface PrintedSide {
  readonly side: "front" | "back";
  readonly widthPx: number;
  readonly heightPx: number;
  readonly strideBytes: number;
  /** `strideBytes` × `heightPx` bytes an ink; every ink of the engine is there. */
  readonly planes: ReadonlyMap<Ink, Uint8Array>;
}

export interface StackedSheet {
  readonly jobId: string;
  readonly sheetNumber: number;
  readonly sides: readonly PrintedSide[];
}

/** An operation met an engine that stands still. */
export class EngineStopped extends Error {
  override readonly name = "EngineStopped";
  readonly troubles: readonly Trouble[];
  constructor(troubles: readonly Trouble[]) {
    super(`the engine stands still: ${troubles.join(", ")}`);
    this.troubles = troubles;
  }
}

/** An ink with less than this left is low, percent. */
const lowPercent = 10;

/** Bits of a 32-bit word that are set. */
function bitsOf(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function countDots(bits: Uint8Array): number {
  let dots = 0;
  let at = 0;
  // Up to the first whole word, by words, and what is left.
  while (at < bits.length && (bits.byteOffset + at) % 4 > 0) dots += bitsOf(bits[at++]!);
  if (at < bits.length) {
    const words = new Uint32Array(bits.buffer, bits.byteOffset + at, (bits.length - at) >> 2);
    for (const word of words) dots += bitsOf(word);
    at += words.byteLength;
  }
  while (at < bits.length) dots += bitsOf(bits[at++]!);
  return dots;
}

interface Appointment {
  readonly trouble: Trouble | "cancel-pressed";
  readonly due: () => boolean;
}

export class EngineModel {
  readonly inks: readonly Ink[];
  /** What lies in the output tray, or ever did; empty unless `keepSheets`. */
  readonly sheets: StackedSheet[] = [];
  /** Sheets since the start: taken from the tray, stacked, and lost on the way. */
  readonly counts = { fed: 0, stacked: 0, wasted: 0 };

  readonly #options: Required<EngineModelOptions>;
  readonly #troubles = new Set<Trouble>();
  readonly #listeners = new Set<(event: ModelEvent) => void>();
  readonly #stackedOfJob = new Map<string, number>();
  readonly #inkLeft = new Map<Ink, number>();
  #appointments: Appointment[] = [];
  #paperLeft: number;
  #outputLeft: number;
  #dots = 0;
  #page: SideStart | undefined;
  #sheetInPath = false;
  #sidesInPath: PrintedSide[] = [];

  constructor(options: EngineModelOptions = {}) {
    this.#options = {
      inks: options.inks ?? ["cyan", "magenta", "yellow", "black"],
      paperSheets: options.paperSheets ?? Infinity,
      outputSheets: options.outputSheets ?? Infinity,
      inkDots: options.inkDots ?? Infinity,
      levelSensors: options.levelSensors ?? true,
      keepSheets: options.keepSheets ?? false,
    };
    this.inks = this.#options.inks;
    this.#paperLeft = this.#options.paperSheets;
    this.#outputLeft = this.#options.outputSheets;
    for (const ink of this.inks) this.#inkLeft.set(ink, this.#options.inkDots);
  }

  /** Why it stands still; empty when it can print. */
  get troubles(): readonly Trouble[] {
    return [...this.#troubles];
  }

  /** Sheets of a job in the output tray. The engine remembers them across its driver's restarts. */
  stackedOf(jobId: string): number {
    return this.#stackedOfJob.get(jobId) ?? 0;
  }

  /** What is left of an ink, 0 to 100; undefined when it never runs out, or no sensor tells. */
  inkPercent(ink: Ink): number | undefined {
    return this.#options.levelSensors && Number.isFinite(this.#options.inkDots)
      ? Math.round(this.#percentLeft(ink))
      : undefined;
  }

  /** Whether some ink is about to run out. One that has is a trouble. */
  get isInkLow(): boolean {
    return this.inks.some((ink) => this.#percentLeft(ink) > 0 && this.#percentLeft(ink) < lowPercent);
  }

  /** Somebody changes a tank for one that is so full, 0 to 100. Nothing happens to an ink that never runs out. */
  setInkPercent(ink: Ink, percent: number): void {
    const full = this.#options.inkDots;
    if (Number.isFinite(full) && this.#inkLeft.has(ink)) this.#inkLeft.set(ink, (full * percent) / 100);
  }

  /** Sheets in the tray; undefined when it never runs out. */
  get paperLeft(): number | undefined {
    return Number.isFinite(this.#paperLeft) ? this.#paperLeft : undefined;
  }

  /** The sides of the sheet in the paper path, the last of them at work; empty unless `keepSheets`. */
  get inPath(): readonly PrintedSide[] {
    return this.#sidesInPath;
  }

  /** Tells of what happens from now on, in order, before the operation that it belongs to returns. Call the result to stop. */
  listen(listener: (event: ModelEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins a side; a front takes a sheet from the tray. Throws EngineStopped. */
  startSide(page: SideStart): void {
    this.#expectReady();
    if (page.side === "front") this.#feed();
    this.#page = page;
    if (!this.#options.keepSheets) return;
    const strideBytes = Math.ceil(page.widthPx / 8);
    const planes = new Map(this.inks.map((ink) => [ink, new Uint8Array(strideBytes * page.heightPx)]));
    const { side, widthPx, heightPx } = page;
    this.#sidesInPath.push({ side, widthPx, heightPx, strideBytes, planes });
  }

  /** Lays the dots of a strip. Throws EngineStopped; the sheet is then lost. */
  print(strip: Strip): void {
    this.#expectReady();
    for (const { colorant, bits } of strip.planes) {
      const left = this.#inkLeft.get(colorant);
      if (left === undefined) throw new Error(`the engine has no ${colorant} ink`);
      const dots = countDots(bits);
      this.#dots += dots;
      this.#inkLeft.set(colorant, Math.max(0, left - dots));
      if (dots > left) this.fail("marker-supply-empty");
      this.#sidesInPath
        .at(-1)
        ?.planes.get(colorant)
        ?.set(bits, strip.yPx * strip.strideBytes);
    }
    this.#keepAppointments();
    this.#expectReady();
  }

  /** Ends a side; the sheet is stacked after its last. Throws EngineStopped. */
  endSide(): void {
    this.#expectReady();
    const page = this.#page;
    if (!page) throw new Error("no side has been started");
    this.#page = undefined;
    if (!page.lastOfSheet) return;
    const { jobId, sheetNumber } = page;
    if (this.#options.keepSheets) this.sheets.push({ jobId, sheetNumber, sides: this.#sidesInPath });
    this.#sheetInPath = false;
    this.#sidesInPath = [];
    this.#outputLeft--;
    this.counts.stacked++;
    this.#stackedOfJob.set(jobId, sheetNumber);
    this.#tell({ kind: "sheet-stacked", jobId, sheetNumber });
  }

  /** Throws out the sheet in the paper path, if there is one. */
  throwOut(): void {
    if (this.#sheetInPath) this.counts.wasted++;
    this.#sheetInPath = false;
    this.#sidesInPath = [];
    this.#page = undefined;
  }

  /** Something goes wrong now; the sheet in the paper path is lost. */
  fail(trouble: Trouble): void {
    if (this.#troubles.has(trouble)) return;
    this.throwOut();
    this.#troubles.add(trouble);
    this.#tell({ kind: "stopped", troubles: this.troubles });
  }

  /** Somebody presses the cancel button. */
  pressCancel(): void {
    this.#tell({ kind: "cancel-pressed" });
  }

  /** Something goes wrong, once, on the `fed`-th sheet taken from the tray since the start, when its first dots have fallen. */
  failAtSheet(trouble: Trouble | "cancel-pressed", fed: number): void {
    this.#appointments.push({ trouble, due: () => this.counts.fed >= fed });
  }

  /** Something goes wrong, once, when the engine has laid so many dots of all inks since the start. */
  failAfterDots(trouble: Trouble | "cancel-pressed", dots: number): void {
    this.#appointments.push({ trouble, due: () => this.#dots >= dots });
  }

  /** Somebody sees to one trouble, or to all: paper is loaded, ink refilled, the output tray emptied, the jam taken out. */
  remedy(trouble?: Trouble): void {
    const remedied = trouble === undefined ? this.troubles : [trouble];
    for (const one of remedied) {
      if (one === "media-empty") this.#paperLeft = this.#options.paperSheets;
      if (one === "output-area-full") this.#outputLeft = this.#options.outputSheets;
      if (one === "marker-supply-empty")
        for (const ink of this.inks) this.#inkLeft.set(ink, this.#options.inkDots);
      this.#troubles.delete(one);
    }
    if (remedied.length === 0) return;
    this.#tell(this.#troubles.size ? { kind: "stopped", troubles: this.troubles } : { kind: "ready" });
  }

  #percentLeft(ink: Ink): number {
    const left = this.#inkLeft.get(ink) ?? 0;
    return Number.isFinite(left) ? (left * 100) / this.#options.inkDots : 100;
  }

  #feed(): void {
    // An engine does not pull a sheet that it could not put down.
    if (this.#outputLeft <= 0) this.fail("output-area-full");
    if (this.#paperLeft <= 0) this.fail("media-empty");
    this.#expectReady();
    this.#paperLeft--;
    this.counts.fed++;
    this.#sheetInPath = true;
    this.#sidesInPath = [];
  }

  #keepAppointments(): void {
    const due = this.#appointments.filter((one) => one.due());
    this.#appointments = this.#appointments.filter((one) => !due.includes(one));
    for (const { trouble } of due) {
      if (trouble === "cancel-pressed") this.pressCancel();
      else this.fail(trouble);
    }
  }

  #expectReady(): void {
    if (this.#troubles.size) throw new EngineStopped(this.troubles);
  }

  #tell(event: ModelEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

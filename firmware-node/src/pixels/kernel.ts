/** Ink tables and halftones as WebAssembly with SIMD, sources in kernel/assembly: dot for dot what reference.ts says, many times faster. */
import { maskSide } from "./blue-noise.ts";
import type { Colorant, DotPlane } from "./halftoner.ts";
import { blackOfGrey, ditherOf, type InkTable, noInk } from "./ink-table.ts";
import { orderedThresholds } from "./ordered.ts";
import type { HalftoneName, Inks } from "./screen.ts";
import { planeMasks } from "./shiau-fan.ts";
import { type PixelKind, rowsOf, type Strip } from "./strip-memory.ts";

/** What kernel.wasm exports; addresses are of its memory. */
interface Exports extends Readonly<Record<TableName, WebAssembly.Global>> {
  open(width: number, neutralsAreBlack: boolean): void;
  clearErrors(): void;
  useStrip(pixels: number, planes: number, planeBytes: number): void;
  spreadGrey(rows: number): void;
  /** All give the planes that have dots, one bit each in the order of `colorants`. */
  colorRows(rows: number, maskRow: number): number;
  blackRows(rows: number, maskRow: number, color: boolean): number;
  orderedColorRows(rows: number, maskRow: number): number;
  orderedBlackRows(rows: number, maskRow: number, color: boolean): number;
}

const colorants: readonly Colorant[] = ["cyan", "magenta", "yellow", "black"];
const black = 3;

/** Thresholds of four planes, place by place. */
const sideBySide = (planes: readonly Int16Array[]): Int16Array =>
  Int16Array.from({ length: planes[0]!.length * 4 }, (_, i) => planes[i & 3]![i >> 2]!);

/** In place of `thresholds` of `tablesOf`. */
const draftThresholds = sideBySide(orderedThresholds);

/** The tables as the kernel reads them: kernel/assembly/layout.ts says how, by the same names. */
export function tablesOf(table: InkTable) {
  const greyBlack = blackOfGrey(table);
  const greys = new Int16Array(greyBlack.length * 4).fill(noInk);
  for (const [value, k] of greyBlack.entries()) greys[value * 4 + black] = k;
  return {
    inks: Int16Array.from([...table.cube, ...greys]),
    blacks: Int16Array.from([...table.black, ...greyBlack]),
    lights: new Int16Array(Uint32Array.from(table.light.flatMap((parts) => [...parts])).buffer),
    thresholds: sideBySide(planeMasks.map(({ twiceThreshold }) => twiceThreshold)),
    masks: sideBySide(planeMasks.map(({ mask }) => mask)),
    dithers: Int16Array.from({ length: maskSide * maskSide * 2 }, (_, i) =>
      ditherOf((i >> 1) % maskSide, Math.floor(i / 2 / maskSide)),
    ),
  };
}

type TableName = keyof ReturnType<typeof tablesOf>;

/** Makes dots of strips, with the inks of one table. */
export class Kernel {
  readonly #exports: Exports;
  readonly #memory: WebAssembly.Memory;
  readonly #thresholds: Int16Array;
  readonly #neutrals: InkTable["neutrals"];

  /**
   * `wasm` is kernel/kernel.wasm, `memory` of strip-memory.ts; there the kernel has the first 2 MiB, and no other kernel may be at work.
   * Throws WebAssembly.CompileError where there is no SIMD.
   */
  constructor(wasm: Uint8Array<ArrayBuffer>, table: InkTable, memory: WebAssembly.Memory) {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env: { memory } });
    this.#exports = exports as unknown as Exports;
    this.#memory = memory;
    const tables = tablesOf(table);
    for (const [name, values] of Object.entries(tables)) this.#lay(name as TableName, values);
    this.#thresholds = tables.thresholds;
    this.#neutrals = table.neutrals;
  }

  /** Begins a page, at most 65535 pixels wide. The page before has ended. */
  page(halftone: HalftoneName, widthPx: number, inks: Inks): KernelPage {
    const ordered = halftone === "ordered";
    this.#exports.open(widthPx, this.#neutrals === "black");
    this.#lay("thresholds", ordered ? draftThresholds : this.#thresholds);
    return new KernelPage(
      this.#exports,
      ordered,
      widthPx,
      inks,
      inks === "cmyk" && this.#neutrals === "cube",
    );
  }

  #lay(name: TableName, values: Int16Array): void {
    new Int16Array(this.#memory.buffer).set(values, this.#exports[name].value / 2);
  }
}

export class KernelPage {
  readonly #exports: Exports;
  readonly #colorRows: Exports["colorRows"];
  readonly #blackRows: Exports["blackRows"];
  readonly #widthPx: number;
  readonly #inks: Inks;
  /** Grey strips are laid as colour. */
  readonly #greyAsColor: boolean;
  /** Row of the page that comes next. */
  #y = 0;

  constructor(exports: Exports, ordered: boolean, widthPx: number, inks: Inks, greyAsColor: boolean) {
    this.#exports = exports;
    this.#colorRows = ordered ? exports.orderedColorRows : exports.colorRows;
    this.#blackRows = ordered ? exports.orderedBlackRows : exports.blackRows;
    this.#widthPx = widthPx;
    this.#inks = inks;
    this.#greyAsColor = greyAsColor;
  }

  /** The next rows of the page are blank. */
  skip(rows: number): void {
    if (rows > 0) this.#exports.clearErrors();
    this.#y += rows;
  }

  /** Dots of the strip's pixels, which are the next rows of the page, in its planes; its pixels may be others then. */
  dots(kind: PixelKind, { pixels, planes }: Strip, rows: number): readonly DotPlane[] {
    if (rows > rowsOf(pixels.length, this.#widthPx)) {
      throw new RangeError(`${rows} rows of ${this.#widthPx} pixels do not fit ${pixels.length} bytes`);
    }
    const planeBytes = planes.length / colorants.length;
    this.#exports.useStrip(pixels.byteOffset, planes.byteOffset, planeBytes);
    const spread = kind === "grey" && this.#greyAsColor;
    if (spread) this.#exports.spreadGrey(rows);
    const withDots =
      spread || (kind === "color" && this.#inks === "cmyk")
        ? this.#colorRows(rows, this.#y)
        : this.#blackRows(rows, this.#y, kind === "color");
    this.#y += rows;
    const sizeBytes = rows * Math.ceil(this.#widthPx / 8);
    return colorants.flatMap((colorant, plane) =>
      withDots & (1 << plane)
        ? [{ colorant, bits: planes.subarray(plane * planeBytes, plane * planeBytes + sizeBytes) }]
        : [],
    );
  }
}

/** Ink tables and halftones as WebAssembly with SIMD, sources in kernel/assembly: dot for dot what reference.ts says, many times faster. */
import { maskSide } from "./blue-noise.ts";
import type { BandKind, Colorant, DotPlane, Halftoner } from "./halftoner.ts";
import { blackOfGrey, ditherOf, type InkTable, noInk } from "./ink-table.ts";
import { orderedThresholds } from "./ordered.ts";
import type { HalftoneName, Inks } from "./screen.ts";
import { planeRules } from "./shiau-fan.ts";

/** What kernel.wasm exports; addresses are of its memory. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  open(width: number, rowsMax: number, neutralsAreBlack: boolean): void;
  clearErrors(): void;
  /** All give the planes that have dots, one bit each in the order of `colorants`. */
  colorRows(rows: number, maskRow: number): number;
  blackRows(rows: number, maskRow: number, color: boolean): number;
  orderedColorRows(rows: number, maskRow: number): number;
  orderedBlackRows(rows: number, maskRow: number, color: boolean): number;
  readonly widthPx: WebAssembly.Global;
  readonly inks: WebAssembly.Global;
  readonly blacks: WebAssembly.Global;
  readonly lights: WebAssembly.Global;
  readonly thresholds: WebAssembly.Global;
  readonly dithers: WebAssembly.Global;
  readonly biases: WebAssembly.Global;
  readonly input: WebAssembly.Global;
  readonly output: WebAssembly.Global;
  readonly outputStride: WebAssembly.Global;
  readonly planeStride: WebAssembly.Global;
}

/**
 * Rows that are handed over at a time: few enough for the second-level cache, and groups of eight, which is how many the
 * kernel takes at once.
 */
const sliceRows = 16;

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
  const biases = planeRules.map(({ bias }) => bias);
  return {
    inks: Int16Array.from([...table.cube, ...greys]),
    blacks: Int16Array.from([...table.black, ...greyBlack]),
    lights: new Int16Array(Uint32Array.from(table.light.flatMap((parts) => [...parts])).buffer),
    thresholds: sideBySide(planeRules.map((rule) => rule.thresholds)),
    dithers: Int16Array.from({ length: maskSide * maskSide * 2 }, (_, i) =>
      ditherOf((i >> 1) % maskSide, Math.floor(i / 2 / maskSide)),
    ),
    biases: Int16Array.from([...biases, ...biases]),
  };
}

type TableName = keyof ReturnType<typeof tablesOf>;

/** Three bytes a pixel from one. */
function colorOfGrey(pixels: Uint8Array): Uint8Array {
  const color = new Uint8Array(pixels.length * 3);
  for (let i = 0, at = 0; i < pixels.length; i++, at += 3) {
    color[at] = color[at + 1] = color[at + 2] = pixels[i]!;
  }
  return color;
}

/** Makes halftoners of one ink table. */
export class Kernel {
  readonly #module: WebAssembly.Module;
  readonly #tables: [TableName, Int16Array][];
  readonly #neutrals: InkTable["neutrals"];

  /** `wasm` is kernel/kernel.wasm. Throws WebAssembly.CompileError where there is no SIMD. */
  constructor(wasm: Uint8Array<ArrayBuffer>, table: InkTable) {
    this.#module = new WebAssembly.Module(wasm);
    this.#tables = Object.entries(tablesOf(table)) as [TableName, Int16Array][];
    this.#neutrals = table.neutrals;
  }

  /** A halftoner for a page `width` pixels wide; it holds 0.6 MB, 80 bytes a pixel of the width, and a band's planes. */
  halftoner(halftone: HalftoneName, width: number, inks: Inks): Halftoner {
    const instance = new WebAssembly.Instance(this.#module);
    const exports = instance.exports as unknown as Exports;
    exports.open(width, sliceRows, this.#neutrals === "black");
    const memory = new Int16Array(exports.memory.buffer);
    for (const [name, values] of this.#tables) memory.set(values, exports[name].value / 2);
    const ordered = halftone === "ordered";
    if (ordered) memory.set(draftThresholds, exports.thresholds.value / 2);
    return new KernelHalftoner(exports, ordered, width, inks, inks === "cmyk" && this.#neutrals === "cube");
  }
}

class KernelHalftoner implements Halftoner {
  readonly strideBytes: number;
  readonly #exports: Exports;
  readonly #colorRows: Exports["colorRows"];
  readonly #blackRows: Exports["blackRows"];
  readonly #width: number;
  readonly #paddedWidth: number;
  readonly #inks: Inks;
  /** Grey bands are laid as colour. */
  readonly #greyAsColor: boolean;
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  readonly #outputStride: number;
  readonly #planeStride: number;
  #planes: Uint8Array[] = [];
  /** Row of the page that comes next. */
  #y = 0;

  constructor(exports: Exports, ordered: boolean, width: number, inks: Inks, greyAsColor: boolean) {
    this.#exports = exports;
    this.#colorRows = ordered ? exports.orderedColorRows : exports.colorRows;
    this.#blackRows = ordered ? exports.orderedBlackRows : exports.blackRows;
    this.#width = width;
    this.#inks = inks;
    this.#greyAsColor = greyAsColor;
    this.strideBytes = Math.ceil(width / 8);
    this.#paddedWidth = exports.widthPx.value;
    this.#outputStride = exports.outputStride.value;
    this.#planeStride = exports.planeStride.value;
    const { buffer } = exports.memory;
    this.#input = new Uint8Array(buffer, exports.input.value, this.#paddedWidth * 3 * sliceRows);
    this.#output = new Uint8Array(buffer, exports.output.value, this.#planeStride * 4);
  }

  band(kind: BandKind, pixels: Uint8Array, rows: number): readonly DotPlane[] {
    if (kind === "blank") {
      if (rows > 0) this.#exports.clearErrors();
      this.#y += rows;
      return [];
    }
    const bytesPerPixel = kind === "grey" ? 1 : 3;
    const rowBytes = this.#width * bytesPerPixel;
    if (pixels.length < rows * rowBytes) {
      throw new RangeError(`${rows} rows of ${rowBytes} bytes are more than ${pixels.length}`);
    }
    const spread = kind === "grey" && this.#greyAsColor;
    const colored = spread || (kind === "color" && this.#inks === "cmyk");
    const laid = colored ? [0, 1, 2, black] : [black];
    const planes = this.#planesFor(rows);
    let withDots = 0;
    for (let first = 0; first < rows; first += sliceRows) {
      const count = Math.min(sliceRows, rows - first);
      const slice = pixels.subarray(first * rowBytes, (first + count) * rowBytes);
      if (spread) this.#takeIn(colorOfGrey(slice), count, 3);
      else this.#takeIn(slice, count, bytesPerPixel);
      withDots |= colored
        ? this.#colorRows(count, this.#y)
        : this.#blackRows(count, this.#y, kind === "color");
      for (const plane of laid) this.#takeOut(plane, planes[plane]!, first, count);
      this.#y += count;
    }
    return laid
      .filter((plane) => withDots & (1 << plane))
      .map((plane) => ({ colorant: colorants[plane]!, bits: planes[plane]! }));
  }

  #planesFor(rows: number): Uint8Array[] {
    const sizeBytes = rows * this.strideBytes;
    if ((this.#planes[0]?.length ?? -1) < sizeBytes) {
      this.#planes = colorants.map(() => new Uint8Array(sizeBytes));
    }
    return this.#planes.map((plane) => plane.subarray(0, sizeBytes));
  }

  /** Copies rows into the kernel's memory, padded with white. */
  #takeIn(pixels: Uint8Array, rows: number, bytesPerPixel: number): void {
    const rowBytes = this.#width * bytesPerPixel;
    const paddedBytes = this.#paddedWidth * bytesPerPixel;
    if (rowBytes === paddedBytes) {
      this.#input.set(pixels.subarray(0, rows * rowBytes));
      return;
    }
    for (let y = 0; y < rows; y++) {
      this.#input.set(pixels.subarray(y * rowBytes, (y + 1) * rowBytes), y * paddedBytes);
      this.#input.fill(255, y * paddedBytes + rowBytes, (y + 1) * paddedBytes);
    }
  }

  #takeOut(plane: number, bits: Uint8Array, firstRow: number, rows: number): void {
    const stride = this.#outputStride;
    const begin = plane * this.#planeStride;
    if (stride === this.strideBytes) {
      bits.set(this.#output.subarray(begin, begin + rows * stride), firstRow * stride);
      return;
    }
    for (let y = 0; y < rows; y++) {
      const row = this.#output.subarray(begin + y * stride, begin + y * stride + this.strideBytes);
      bits.set(row, (firstRow + y) * this.strideBytes);
    }
  }
}

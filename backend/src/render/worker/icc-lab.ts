/**
 * A correction of qcms, the ICC engine of pdf.js: it reads 16-bit Lab of any profile as version 4 encodes it, and most CMYK profiles
 * are of version 2, where white is 0xff00 and not 0xffff. It shows their paper as sRGB 253, 254, 255: a screen would not tell, a
 * printer lays a dot here and there over the whole sheet. So each such profile is rewritten in version 4's encoding on its
 * way into the engine. (ICC.1:2001-04 annex A; ICC.1:2010 section 6.3.4.2.)
 */

/** Largest value of version 2, 100 and 127 99⁄100; times 257/256 it is version 4's. */
const largest = 0xff00;

const text = (view: DataView, offset: number): string =>
  String.fromCharCode(...Array.from({ length: 4 }, (_, i) => view.getUint8(offset + i)));

/** Where the tables of a profile's tag begin, bytes. */
export function* tagsOf(view: DataView): Generator<{ readonly name: string; readonly start: number }> {
  const count = view.getUint32(128);
  for (let i = 0; i < count; i++) {
    const entry = 132 + 12 * i;
    yield { name: text(view, entry), start: view.getUint32(entry + 4) };
  }
}

/** The parts of a lut16Type (ICC.1:2001-04 section 6.5.7), in 16-bit words from `start` on. */
export interface Lut16 {
  readonly inputs: number;
  readonly outputs: number;
  readonly gridPoints: number;
  /** Where the grid of colours begins and ends, and where the output tables end, bytes. */
  readonly grid: number;
  readonly gridEnd: number;
  readonly end: number;
}

/** The lut16Type at `start`, or undefined when another type is there. */
export function lut16At(view: DataView, start: number): Lut16 | undefined {
  if (text(view, start) !== "mft2") return undefined;
  const [inputs, outputs, gridPoints] = [8, 9, 10].map((at) => view.getUint8(start + at)) as [
    number,
    number,
    number,
  ];
  const grid = start + 52 + view.getUint16(start + 48) * inputs * 2;
  const gridEnd = grid + gridPoints ** inputs * outputs * 2;
  return {
    inputs,
    outputs,
    gridPoints,
    grid,
    gridEnd,
    end: gridEnd + view.getUint16(start + 50) * outputs * 2,
  };
}

function scale(view: DataView, start: number, end: number): void {
  for (let at = start; at < end; at += 2) {
    view.setUint16(at, Math.min(0xffff, Math.round((view.getUint16(at) * 257) / 256)));
  }
}

function reaches(view: DataView, start: number, end: number): number {
  let most = 0;
  for (let at = start; at < end; at += 2) most = Math.max(most, view.getUint16(at));
  return most;
}

/** Rewrites 16-bit Lab of version 2 as version 4's, in place. Leaves any other profile, and a broken one, as it is. */
export function correctLab(profile: Uint8Array): void {
  const view = new DataView(profile.buffer, profile.byteOffset, profile.byteLength);
  try {
    if (view.getUint8(8) !== 2 || text(view, 20) !== "Lab ") return;
    const done = new Set<number>();
    for (const { name, start } of tagsOf(view)) {
      const lut = name.startsWith("A2B") && !done.has(start) ? lut16At(view, start) : undefined;
      if (!lut) continue;
      done.add(start);
      // Tables that go beyond version 2's largest value pass the grid's values on as they are.
      const passOn = reaches(view, lut.gridEnd, lut.end) > largest;
      if (passOn) scale(view, lut.grid, lut.gridEnd);
      else scale(view, lut.gridEnd, lut.end);
    }
  } catch (error) {
    // Offsets beyond the end: qcms refuses it, and pdf.js falls back to the number of components.
    if (!(error instanceof RangeError)) throw error;
  }
}

/** Its types come with those of the DOM, which is not here. */
declare const WebAssembly: { readonly Instance: { readonly prototype: object } };

interface Qcms {
  readonly memory: { readonly buffer: ArrayBuffer };
  qcms_transformer_from_memory(pointer: number, length: number, ...rest: readonly number[]): number;
}

const isQcms = (exports: object): exports is Qcms => "qcms_transformer_from_memory" in exports;

const corrected = (exports: Qcms): Qcms => ({
  ...exports,
  qcms_transformer_from_memory(pointer, length, ...rest) {
    correctLab(new Uint8Array(exports.memory.buffer, pointer, length));
    return exports.qcms_transformer_from_memory(pointer, length, ...rest);
  },
});

/** Has every profile that qcms is given in this process corrected before: where pdf.js takes hold of the engine's functions. */
export function installLabCorrection(): void {
  const { prototype } = WebAssembly.Instance;
  const exportsOf = Object.getOwnPropertyDescriptor(prototype, "exports")?.get;
  Object.defineProperty(prototype, "exports", {
    get(this: object): object {
      const exports = exportsOf?.call(this) as object;
      return isQcms(exports) ? corrected(exports) : exports;
    },
  });
}

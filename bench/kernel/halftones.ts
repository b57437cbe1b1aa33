/** The halftones that are measured: each takes continuous-tone planes and gives dots. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { full } from "../../firmware-node/src/pixels/ink-table.ts";
import { diffusion } from "../../firmware-node/src/pixels/shiau-fan.ts";

/** Coverage 0 to 1, side × side; plane 0 to 3 is cyan, magenta, yellow, black. Dots are 0 and 1. */
export type Halftone = (coverage: Float64Array, side: number, plane: number) => Promise<Float64Array>;

/** A byte of eight dots a time → one number a dot. */
export const unpacked = (bits: Uint8Array, width: number, height: number): Float64Array => {
  const stride = Math.ceil(width / 8);
  return Float64Array.from(
    { length: width * height },
    (_, i) => (bits[Math.floor(i / width) * stride + ((i % width) >> 3)]! >> (7 - ((i % width) & 7))) & 1,
  );
};

/** The product's: what the kernel lays, dot for dot. */
const ours: Halftone = async (coverage, side, plane) => {
  const { row } = diffusion(side, plane);
  const stride = side / 8;
  const bits = new Uint8Array(stride * side);
  const asked = Int16Array.from(coverage, (share) => Math.round(share * full));
  for (let y = 0; y < side; y++) row(asked, y * side, 1, bits, y * stride);
  return unpacked(bits, side, side);
};

/** Floyd and Steinberg's weights in rows from left to right, threshold one half. */
const floydSteinberg: Halftone = async (coverage, side) => {
  const value = Float64Array.from(coverage);
  const dots = new Float64Array(side * side);
  for (let i = 0; i < value.length; i++) {
    const x = i % side;
    dots[i] = value[i]! > 0.5 ? 1 : 0;
    const error = (value[i]! - dots[i]!) / 16;
    if (x + 1 < side) value[i + 1]! += 7 * error;
    if (i + side >= value.length) continue;
    if (x > 0) value[i + side - 1]! += 3 * error;
    value[i + side]! += 5 * error;
    if (x + 1 < side) value[i + side + 1]! += error;
  }
  return dots;
};

const call = promisify(execFile);

const asItIs = (light: number): number => light;
/** ITU-R BT.709's curve, in which netpbm takes its samples to be: it dithers in linear light. */
const bt709 = (light: number): number => (light < 0.018 ? 4.5 * light : 1.099 * light ** 0.45 - 0.099);

/** A program that turns a PGM into a PBM; `encode` writes light, 1 − coverage, as the program reads it. */
function program(
  command: (input: string, output: string) => string[],
  encode: (light: number) => number = asItIs,
): Halftone {
  return async (coverage, side) => {
    const folder = await mkdtemp(join(tmpdir(), "platen-halftone-"));
    try {
      const [input, output] = [join(folder, "in.pgm"), join(folder, "out.pbm")];
      const samples = Buffer.alloc(side * side * 2);
      for (const [i, share] of coverage.entries())
        samples.writeUInt16BE(Math.round(65535 * encode(1 - share)), i * 2);
      await writeFile(input, Buffer.concat([Buffer.from(`P5 ${side} ${side} 65535\n`), samples]));
      const [name, ...args] = command(input, output);
      await call(name!, args);
      const pbm = await readFile(output);
      return unpacked(pbm.subarray(pbm.length - (side * side) / 8), side, side);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

export const halftones: ReadonlyMap<string, Halftone> = new Map([
  ["Platen", ours],
  ["Floyd–Steinberg", floydSteinberg],
  [
    "ImageMagick",
    program((input, output) => [
      "convert",
      input,
      "-dither",
      "FloydSteinberg",
      "-remap",
      "pattern:gray50",
      output,
    ]),
  ],
  [
    "netpbm",
    program((input, output) => ["sh", "-c", `pamditherbw -fs "$0" | pamtopnm > "$1"`, input, output], bt709),
  ],
]);

/** The halftones whose programs are installed. */
export async function available(): Promise<Map<string, Halftone>> {
  const found = new Map<string, Halftone>();
  for (const [name, halftone] of halftones) {
    const works = await halftone(new Float64Array(64 * 64).fill(0.5), 64, 3).then(
      (dots) => dots.length === 64 * 64,
      () => false,
    );
    if (works) found.set(name, halftone);
  }
  return found;
}

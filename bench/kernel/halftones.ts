/** The halftones that are measured: each takes continuous-tone planes and gives dots. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { full } from "../../firmware-node/src/pixels/ink-table.ts";
import { diffusion } from "../../firmware-node/src/pixels/shiau-fan.ts";
import { floydSteinberg, ostromoukhov, shiauFan, voidAndCluster } from "./diffusions.ts";
import { twoColors } from "./peers.ts";
import type { Inked } from "./press.ts";

/**
 * Coverage 0 to 1, side × side; plane 0 to 3 is cyan, magenta, yellow, black. Dots are 0 and 1. A colour is told the dots of black
 * where there is black.
 */
export type Halftone = (
  coverage: Float64Array,
  side: number,
  plane: number,
  black?: Float64Array,
) => Promise<Float64Array>;

const black = 3;

/** Dots of all planes of an image, as a page has them: black first, since colours have to be told where it lies. */
export async function halftoned({ side, planes }: Inked, halftone: Halftone): Promise<Inked> {
  const ofBlack = await halftone(planes[black]!, side, black);
  const dots = [];
  for (const [plane, coverage] of planes.slice(0, black).entries())
    dots.push(await halftone(coverage, side, plane, ofBlack));
  return { side, planes: [...dots, ofBlack] };
}

/** A byte of eight dots a time → one number a dot. */
export const unpacked = (bits: Uint8Array, width: number, height: number): Float64Array => {
  const stride = Math.ceil(width / 8);
  return Float64Array.from(
    { length: width * height },
    (_, i) => (bits[Math.floor(i / width) * stride + ((i % width) >> 3)]! >> (7 - ((i % width) & 7))) & 1,
  );
};

const packed = (dots: Float64Array): Uint8Array =>
  Uint8Array.from({ length: dots.length / 8 }, (_, byte) =>
    dots.subarray(byte * 8, byte * 8 + 8).reduce((bits, dot) => bits * 2 + dot, 0),
  );

/** The product's: what the kernel lays, dot for dot. */
const ours: Halftone = async (coverage, side, plane, black) => {
  const { row } = diffusion(side, plane);
  const stride = side / 8;
  const bits = new Uint8Array(stride * side);
  const under = black && packed(black);
  const asked = Int16Array.from(coverage, (share) => Math.round(share * full));
  for (let y = 0; y < side; y++) row(asked, y * side, 1, bits, y * stride, under);
  return unpacked(bits, side, side);
};

const call = promisify(execFile);

/** ITU-R BT.709's curve, in which netpbm takes its samples to be: it dithers in linear light. */
const bt709 = (light: number): number => (light < 0.018 ? 4.5 * light : 1.099 * light ** 0.45 - 0.099);

function pgm(samples: Float64Array, side: number): Buffer {
  const bytes = Buffer.alloc(side * side * 2);
  for (const [i, sample] of samples.entries()) bytes.writeUInt16BE(Math.round(65535 * sample), i * 2);
  return Buffer.concat([Buffer.from(`P5 ${side} ${side} 65535\n`), bytes]);
}

/** A program that turns a file into a PBM; `encode` writes light, 1 − coverage, as the program reads it. */
function program(
  command: (input: string, output: string) => string[],
  encode: (light: Float64Array, side: number) => Buffer = pgm,
): Halftone {
  return async (coverage, side) => {
    const folder = await mkdtemp(join(tmpdir(), "platen-halftone-"));
    try {
      const [input, output] = [join(folder, "in"), join(folder, "out.pbm")];
      await writeFile(
        input,
        encode(
          coverage.map((share) => 1 - share),
          side,
        ),
      );
      const [name, ...args] = command(input, output);
      await call(name!, args);
      const pbm = await readFile(output);
      return unpacked(pbm.subarray(pbm.length - (side * side) / 8), side, side);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

const imageMagick = program((input, output) => [
  "convert",
  input,
  "-dither",
  "FloydSteinberg",
  "-remap",
  "pattern:gray50",
  output,
]);

const netpbm = program(
  (input, output) => ["sh", "-c", `pamditherbw -fs "$0" | pamtopnm > "$1"`, input, output],
  (light, side) => pgm(light.map(bt709), side),
);

const graphicsMagick = program((input, output) => [
  "sh",
  "-c",
  'printf "$2" > "$0.two" && gm convert "$0" -dither -map "PGM:$0.two" "$1"',
  input,
  output,
  twoColors,
]);

/** A page of 600 dpi with a sample a dot, in PostScript. */
function postScript(light: Float64Array, side: number): Buffer {
  const samples = Buffer.from(Uint8Array.from(light, (sample) => Math.round(255 * sample)));
  const points = (side * 72) / 600;
  return Buffer.from(
    `%!PS
<< /PageSize [${points} ${points}] >> setpagedevice
/row ${side} string def
${points} dup scale
${side} ${side} 8 [${side} 0 0 -${side} 0 ${side}] { currentfile row readhexstring pop } image
${samples.toString("hex")}
showpage
`,
  );
}

/** Its own screen, that of all its devices of one bit. */
const ghostscript = program((input, output) => {
  const options = "-q -dNOPAUSE -dBATCH -dSAFER -r600 -sDEVICE=pbmraw".split(" ");
  return ["gs", ...options, `-sOutputFile=${output}`, input];
}, postScript);

const plain =
  (halftone: (coverage: Float64Array, side: number, plane: number) => Float64Array): Halftone =>
  async (coverage, side, plane) =>
    halftone(coverage, side, plane);

/** The product's first. */
export const halftones: ReadonlyMap<string, Halftone> = new Map([
  ["Platen", ours],
  ["Shiau–Fan and blue noise", plain(shiauFan)],
  ["Ostromoukhov, serpentine", plain(ostromoukhov)],
  ["void and cluster", plain(voidAndCluster)],
  ["Floyd–Steinberg", plain(floydSteinberg)],
  ["ImageMagick", imageMagick],
  ["netpbm", netpbm],
  ["GraphicsMagick", graphicsMagick],
  ["Ghostscript", ghostscript],
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
    else console.log(`${name} does not run here: it is left out`);
  }
  return found;
}

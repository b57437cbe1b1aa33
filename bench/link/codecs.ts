/** How many bytes a page comes to: by the link's codecs, in the bands that go over the line, and by other programs, whole. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { deflateSync } from "node:zlib";
import { type CodecName, encodeBand, stripBands } from "../../hw/protocol/index.ts";
import { simulatedCapabilities } from "../../hw/src/link/index.ts";
import type { DotPage } from "./dots.ts";

export const stripRows = 64;

/** Each band in the smallest of these. */
export function codedBytes(page: DotPage, codecs: readonly CodecName[]): number {
  let bytes = 0;
  for (const band of bandsOf(page)) bytes += encodeBand(band.bits, page.strideBytes, codecs).bytes.length;
  return bytes;
}

/** The page's bands as they go over the line. */
export function* bandsOf({ planes, strideBytes, heightPx }: DotPage) {
  for (let yPx = 0; yPx < heightPx; yPx += stripRows) {
    const rowsPx = Math.min(stripRows, heightPx - yPx);
    const parts = planes.map(({ colorant, bits }) => ({
      colorant,
      bits: bits.subarray(yPx * strideBytes, (yPx + rowsPx) * strideBytes),
    }));
    yield* stripBands({ yPx, rowsPx, strideBytes, planes: parts }, simulatedCapabilities);
  }
}

/** Commands that make `OUT` of a plane in `IN`, a PBM. */
const programs: readonly (readonly [label: string, command: string])[] = [
  ["G4 (pnmtotiff)", "pnmtotiff -g4 IN > OUT"],
  ["JBIG (pbmtojbg)", "pbmtojbg IN OUT"],
];

export async function outsideBytes(page: DotPage): Promise<[string, number][]> {
  const sizes: [string, number][] = [
    ["zlib level 1", page.planes.reduce((sum, { bits }) => sum + deflateSync(bits, { level: 1 }).length, 0)],
  ];
  const folder = await mkdtemp(join(tmpdir(), "platen-bench-link-"));
  try {
    for (const [label, command] of programs) {
      const bytes = await sizeBy(command, page, folder);
      if (bytes === undefined) console.log(`${label}: not installed, or failed`);
      else sizes.push([label, bytes]);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return sizes;
}

async function sizeBy(command: string, page: DotPage, folder: string): Promise<number | undefined> {
  const [input, output] = [join(folder, "plane.pbm"), join(folder, "out")];
  let bytes = 0;
  for (const { bits } of page.planes) {
    await writeFile(input, Buffer.concat([Buffer.from(`P4\n${page.widthPx} ${page.heightPx}\n`), bits]));
    const line = command.replace("IN", input).replace("OUT", output);
    const made = await promisify(execFile)("sh", ["-c", line]).then(
      () => true,
      () => false,
    );
    if (!made) return undefined;
    bytes += (await stat(output)).size;
  }
  return bytes;
}

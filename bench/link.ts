/**
 * `npm run bench -- link [--chart FILE]`: pages of A4 at 600 dpi over an emulated line of 3 Mbit/s. Bytes by codec beside other
 * programs', seconds a page, and what bit errors cost. In virtual time: the same figures on every machine. The photo comes from
 * PLATEN_SHARED (default ../shared)/images.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { CodecName } from "../hw/protocol/index.ts";
import { desktopMechanics, instantMechanics } from "../hw/src/link/index.ts";
import { codedBytes, outsideBytes } from "./link/codecs.ts";
import { cross } from "./link/cross.ts";
import { type DotPage, photoDots, textDots } from "./link/dots.ts";
import { barChart, type Group } from "./support/bars.ts";
import { sharedFolder } from "./support/shared.ts";

const allCodecs: readonly CodecName[] = ["raw", "packbits", "delta-row", "context"];
/** What an engine may offer, from the least to all. */
const offers: Readonly<Record<string, readonly CodecName[]>> = {
  raw: ["raw"],
  packbits: ["raw", "packbits"],
  "delta-row": ["raw", "delta-row"],
  "packbits and delta-row": ["raw", "packbits", "delta-row"],
  context: allCodecs,
};
const bitErrorRates = [0, 1e-6, 1e-5, 1e-4, 1e-3];

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;
const quick = {
  codecs: allCodecs,
  mechanics: instantMechanics,
  feed: "pauses",
  bitErrorRate: 0,
  seed: 1,
} as const;
/** Lines of the same bit error rate: where on a page the errors fall is chance. */
const seeds = [1, 2, 3, 4, 5, 6, 7];

/** Sizes and seconds of a page, codec by codec. */
async function byCodec(page: DotPage): Promise<Group> {
  console.log(`\n${page.name} page | bytes | share of raw | seconds on the line\n---|---|---|---`);
  const rawBytes = page.strideBytes * page.heightPx * 4;
  const bars = [];
  for (const [label, codecs] of Object.entries(offers)) {
    const bytes = label === "raw" ? rawBytes : codedBytes(page, codecs);
    // Raw planes are sent whole only here, for the comparison: the host leaves blank strips out whatever the codec.
    const { seconds } = cross(page, { ...quick, codecs, blankStrips: label === "raw" });
    console.log(
      `${label} | ${megabytes(bytes)} | 1/${(rawBytes / bytes).toFixed(1)} | ${seconds.toFixed(2)}`,
    );
    bars.push({ label, value: seconds, own: true });
  }
  for (const [label, bytes] of await outsideBytes(page)) {
    console.log(`${label} (size alone) | ${megabytes(bytes)} | 1/${(rawBytes / bytes).toFixed(1)} | –`);
    bars.push({ label: `${label}, bytes alone`, value: (bytes * 10) / 3e6, own: false });
  }
  return { title: `${page.name} page, A4, 600 dpi, CMYK`, bars };
}

/** Seconds of the median line, and of the quickest and the slowest. */
function byErrors(page: DotPage): void {
  console.log(
    `\n${page.name} page, bit error rate | seconds | from | to | goodput of a clean line's | payload at the end\n---|---|---|---|---|---`,
  );
  const clean = cross(page, quick);
  for (const bitErrorRate of bitErrorRates) {
    const crossings =
      bitErrorRate === 0 ? [clean] : seeds.map((seed) => cross(page, { ...quick, bitErrorRate, seed }));
    const sorted = crossings.toSorted((a, b) => a.seconds - b.seconds);
    const median = sorted[sorted.length >> 1]!;
    const share = ((100 * clean.seconds) / median.seconds).toFixed(1);
    const [from, to] = [sorted[0]!, sorted.at(-1)!].map(({ seconds }) => seconds.toFixed(2));
    console.log(
      `${bitErrorRate} | ${median.seconds.toFixed(2)} | ${from} | ${to} | ${share} % | ${median.payloadBytes} bytes`,
    );
  }
}

function byEngine(page: DotPage): void {
  const rate = desktopMechanics.rowsPerSecond;
  console.log(
    `\n${page.name} page, an engine of ${rate} rows a second | seconds | stood in mid-page\n---|---|---`,
  );
  for (const feed of ["whole-page", "pauses"] as const) {
    const { seconds, starved } = cross(page, { ...quick, mechanics: desktopMechanics, feed });
    console.log(`${feed} | ${seconds.toFixed(2)} | ${starved} times`);
  }
}

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { chart: { type: "string" } } });
  const images = join(sharedFolder, "images");
  const pages = [await textDots(), await photoDots(images)].filter((page) => page !== undefined);
  const groups: Group[] = [];
  for (const page of pages) {
    groups.push(await byCodec(page));
    byErrors(page);
    byEngine(page);
  }
  if (values.chart !== undefined)
    await writeFile(values.chart, barChart("Seconds a page over a line of 3 Mbit/s", groups, "s"));
}

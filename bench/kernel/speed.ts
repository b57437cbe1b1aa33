/** `npm run bench -- kernel`: the kernel beside plain TypeScript and C, and, from JPEG to one-bit planes, beside other programs. */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { BandContent, BandEncoding, BandSchema } from "@platen/proto";
import sharp from "sharp";
import { sharpDecoder } from "../../firmware-node/src/adapters/decode.ts";
import { giveBack } from "../../firmware-node/src/app/give-back.ts";
import { readKernel } from "../../firmware-node/src/adapters/kernel-files.ts";
import { referenceHalftoner } from "../../firmware-node/src/pixels/reference.ts";
import type { Halftoner } from "../../firmware-node/src/pixels/halftoner.ts";
import { idealInks } from "../../firmware-node/src/pixels/ink-table.ts";
import { Kernel, type KernelPage } from "../../firmware-node/src/pixels/kernel.ts";
import type { HalftoneName } from "../../firmware-node/src/pixels/screen.ts";
import { fill, makeStrips, type Strip } from "../../firmware-node/src/pixels/strip-memory.ts";
import { localKernel } from "../../firmware-node/src/testing/local-kernel.ts";
import { barChart, type Group } from "../support/bars.ts";
import { commandSeconds, medians, ownSeconds, warmSeconds, type Way } from "../support/clock.ts";
import { nativeKernel } from "./native.ts";
import { bandRows, bandsOf, type Page, photoPage, textPage, writeFiles } from "./pages.ts";
import { peers, preparePeers } from "./peers.ts";
import { plainKernel } from "./plain.ts";
import { lookUpStage } from "./stages.ts";

const colorants = ["cyan", "magenta", "yellow", "black"] as const;

/** As the controller cuts pages. */
const stripRows = 64;

const rowsAt = (y: number, rows: number, { heightPx }: Page): number => Math.min(rows, heightPx - y);

/** Lays rows of a page of sRGB in a strip. */
const fillAt = (strip: Strip, pixels: Uint8Array, y: number, page: Page): void => {
  const rowBytes = page.widthPx * 3;
  const rows = rowsAt(y, stripRows, page);
  fill(strip, pixels.subarray(y * rowBytes, (y + rows) * rowBytes), "color", page.widthPx, rows);
};

/** Halftones a page whose strips lie in the kernel's memory, as C has it in its own. */
function halftone(kernelPage: KernelPage, strips: readonly Strip[], page: Page): void {
  for (const [i, strip] of strips.entries())
    kernelPage.dots("color", strip, rowsAt(i * stripRows, stripRows, page));
}

/** Halftones a page that has to be laid into strips first, as what a decoder gives: two of them in turns. */
function copyAndHalftone(
  kernelPage: KernelPage,
  strips: readonly Strip[],
  pixels: Uint8Array,
  page: Page,
): void {
  for (let y = 0; y < page.heightPx; y += stripRows) {
    const strip = strips[(y / stripRows) % 2]!;
    fillAt(strip, pixels, y, page);
    kernelPage.dots("color", strip, rowsAt(y, stripRows, page));
  }
}

/** Halftones a page and gives its planes. */
function planesOf(kernelPage: KernelPage, strips: readonly Strip[], page: Page): Uint8Array[] {
  const planes = emptyPlanes(page);
  for (const [i, strip] of strips.entries()) {
    const y = i * stripRows;
    for (const { colorant, bits } of kernelPage.dots("color", strip, rowsAt(y, stripRows, page)))
      planes[colorants.indexOf(colorant)]!.set(bits, y * Math.ceil(page.widthPx / 8));
  }
  return planes;
}

/** JPEG bands → planes, as the controller does it; without a halftoner, the decoding of them alone. */
async function fromJpeg(page: Page, bands: readonly Buffer[], halftoner?: Halftoner): Promise<void> {
  const rowBytes = page.widthPx * 3;
  for (const [i, data] of bands.entries()) {
    const rowsPx = rowsAt(i * bandRows, bandRows, page);
    const band = create(BandSchema, {
      yPx: i * bandRows,
      rowsPx,
      content: BandContent.COLOR,
      encoding: BandEncoding.JPEG,
      data,
    });
    const pixels = await sharpDecoder.decode(band, page.widthPx);
    for (let y = 0; y < rowsPx; y += stripRows) {
      const rows = Math.min(stripRows, rowsPx - y);
      halftoner?.band("color", pixels.subarray(y * rowBytes, (y + rows) * rowBytes), rows);
    }
    giveBack(pixels);
  }
}

const sameDots = (label: string, planes: readonly Uint8Array[], expected: readonly Uint8Array[]): void => {
  for (const [i, plane] of planes.entries()) {
    if (!Buffer.from(plane).equals(expected[i]!))
      throw new Error(`${label} lays other dots in ${colorants[i]}`);
  }
};

const emptyPlanes = ({ widthPx, heightPx }: Page): Uint8Array[] =>
  colorants.map(() => new Uint8Array(Math.ceil(widthPx / 8) * heightPx));

const fused = "kernel: colour and dots";
const colourAlone = "kernel: colour alone";

/** With the second stage, which does not go alone: dots are what both take less the first. */
const withStages = (times: ReadonlyMap<string, number>): [string, number][] =>
  [...times].flatMap(([label, time]): [string, number][] =>
    label === colourAlone
      ? [
          [label, time],
          ["kernel: dots alone (the difference)", times.get(fused)! - time],
        ]
      : [[label, time]],
  );

/** Everything that halftones `pixels`, checked to lay the kernel's dots where it shall. */
async function halftoningWays(page: Page, pixels: Uint8Array, folder: string): Promise<Way[]> {
  const { widthPx, heightPx } = page;
  const table = idealInks();
  const { memory, strips } = makeStrips(Math.ceil(heightPx / stripRows), stripRows * widthPx * 3);
  for (const [i, strip] of strips.entries()) fillAt(strip, pixels, i * stripRows, page);
  const kernel = new Kernel(await readKernel(), table, memory);
  const begin = (name: HalftoneName = "shiau-fan") => kernel.page(name, widthPx, "cmyk");
  const expected = planesOf(begin(), strips, page);
  const plain = plainKernel(table, widthPx);
  const own = emptyPlanes(page);
  plain(pixels, own);
  sameDots("plain TypeScript", own, expected);
  const spare = makeStrips(2, stripRows * widthPx * 3);
  const copying = new Kernel(await readKernel(), table, spare.memory);
  const copyWay = () =>
    copyAndHalftone(copying.page("shiau-fan", widthPx, "cmyk"), spare.strips, pixels, page);
  const reference = () => referenceHalftoner("shiau-fan", table, widthPx, "cmyk");
  // Its tables are the kernel's, in the same places.
  const lookUp = await lookUpStage(table, memory, widthPx);
  const ways: Way[] = [
    [fused, () => warmSeconds(() => halftone(begin(), strips, page))],
    ["kernel: colour and dots, and the copy", () => warmSeconds(copyWay)],
    [colourAlone, () => warmSeconds(() => lookUp(strips, stripRows))],
    ["plain TypeScript, the same dots", () => ownSeconds(() => plain(pixels, own))],
    ["kernel: drafts", () => warmSeconds(() => halftone(begin("ordered"), strips, page))],
    [
      "reference (plain TypeScript)",
      () => ownSeconds(() => reference().band("color", pixels, heightPx)),
      "slow",
    ],
  ];
  const native = await nativeKernel(table, widthPx, heightPx, folder);
  if (!native) return ways;
  const [input, output] = [join(folder, "pixels"), join(folder, "planes")];
  await writeFile(input, pixels);
  for (const [what, label] of [
    ["sse", "C with SSE, the same dots"],
    ["sse-native", "C with SSE, compiled for this processor"],
    ["scalar", "plain C, the same dots"],
  ] as const) {
    await native.seconds(what, input, output);
    const planes = await readFile(output);
    const size = planes.length / 4;
    sameDots(
      label,
      colorants.map((_, i) => planes.subarray(i * size, (i + 1) * size)),
      expected,
    );
    ways.push([label, () => native.seconds(what, input, output)]);
  }
  return ways;
}

/** From JPEG to planes. */
async function wholeWays(page: Page, pixels: Uint8Array, folder: string): Promise<Way[]> {
  const kernel = localKernel(idealInks());
  const bands = await bandsOf(page, pixels);
  await writeFiles(page, folder);
  return [
    [
      "Platen",
      () => ownSeconds(() => fromJpeg(page, bands, kernel.halftoner("shiau-fan", page.widthPx, "cmyk"))),
    ],
    ["Platen: decoding alone", () => ownSeconds(() => fromJpeg(page, bands))],
    ...peers.map(
      ({ label, command, slow }): Way => [
        label,
        () => commandSeconds(command(page.name), folder),
        slow && "slow",
      ],
    ),
  ];
}

const print = ({ title, bars }: Group): void => {
  console.log(`\n${title}`);
  const base = bars[0]!.value;
  for (const { label, value } of bars) {
    console.log(
      `  ${label.padEnd(44)} ${value.toPrecision(3).padStart(7)}   × ${(value / base).toPrecision(3)}`,
    );
  }
};

const isOwn = (label: string): boolean => /^(Platen|kernel|reference)/.test(label);

async function timePage(page: Page, folder: string, runs: number): Promise<Group[]> {
  const megapixels = (page.widthPx * page.heightPx) / 1e6;
  const pixels = await sharp(page.jpeg).raw().toBuffer();
  const halftoning = await medians(await halftoningWays(page, pixels, folder), runs);
  const whole = await medians(await wholeWays(page, pixels, folder), runs);
  const rates = withStages(halftoning).map(([label, time]) => ({
    label,
    value: megapixels / time,
    own: isOwn(label),
  }));
  const times = [...whole].map(([label, time]) => ({ label, value: time, own: isOwn(label) }));
  return [
    { title: `${page.name} page, halftoning: Mpixel/s, more is better`, bars: rates },
    { title: `${page.name} page, JPEG to one-bit planes: CPU s, less is better`, bars: times },
  ];
}

export async function speed(imageFolder: string, chartFile: string, runs = 5): Promise<void> {
  sharp.concurrency(1);
  const photo = join(imageFolder, "derived-a4-600dpi-photo.jpg");
  const pages = [await textPage()];
  if (existsSync(photo)) pages.unshift(await photoPage(photo));
  else console.log(`no ${photo}: the photo is left out`);
  const folder = await mkdtemp(join(tmpdir(), "platen-bench-"));
  console.log(
    `A4 at 600 dpi, CPU time, medians of ${runs}, in turns; load of the machine ${loadavg()[0]!.toFixed(1)}`,
  );
  const charted: Group[] = [];
  try {
    await preparePeers(folder);
    for (const page of pages) {
      const groups = await timePage(page, folder, runs);
      for (const group of groups) print(group);
      charted.push(groups[1]!);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await writeFile(chartFile, barChart("A4 page at 600 dpi, JPEG to one-bit CMYK", charted, "s"));
  console.log(`\nchart: ${chartFile}`);
}

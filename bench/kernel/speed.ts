/** `npm run bench -- kernel`: the kernel beside plain TypeScript and, from JPEG to one-bit planes, beside other programs. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { loadKernel } from "../../firmware-node/src/adapters/kernel-files.ts";
import { makeDiffused } from "../../firmware-node/src/pixels/diffused.ts";
import { type Halftoner, makeHalftoner } from "../../firmware-node/src/pixels/halftoner.ts";
import { idealInks } from "../../firmware-node/src/pixels/ink-table.ts";
import { barChart, type Group } from "../support/bars.ts";
import { commandSeconds, median, ownSeconds } from "./clock.ts";
import { type Page, photoPage, textPage, writeFiles } from "./pages.ts";

const bandRows = 128;

/** Programs that make one-bit planes of NAME.jpg or NAME.pdf. */
const peers: readonly (readonly [label: string, command: (name: string) => string])[] = [
  ["Ghostscript bitcmyk", (name) => gs("bitcmyk", name)],
  ["Ghostscript tiffsep1", (name) => gs("tiffsep1", name)],
  ["mutool pkm", (name) => `mutool draw -q -F pkm -c cmyk -r 600 -o out.pkm ${name}.pdf`],
  [
    "netpbm pamditherbw × 4",
    (name) =>
      `jpegtopnm ${name}.jpg > page.ppm; for c in 0 1 2 0; do pamchannel -infile page.ppm $c | pamditherbw -fs > out.pam; done`,
  ],
  [
    "GraphicsMagick",
    (name) =>
      `gm convert ${name}.jpg -colorspace CMYK page.miff; for c in Cyan Magenta Yellow Black; do gm convert page.miff -channel $c -dither -monochrome out.pbm; done`,
  ],
  [
    "ImageMagick",
    (name) =>
      `convert ${name}.jpg -colorspace CMYK -separate -dither FloydSteinberg -remap pattern:gray50 out-%d.pbm`,
  ],
];
const gs = (device: string, name: string): string =>
  `gs -q -dNOPAUSE -dBATCH -dSAFER -r600 -sDEVICE=${device} -sOutputFile=out-%d ${name}.pdf`;

function halftone(make: () => Halftoner, pixels: Uint8Array, { widthPx, heightPx }: Page) {
  const halftoner = make();
  for (let y = 0; y < heightPx; y += bandRows) {
    const rows = Math.min(bandRows, heightPx - y);
    halftoner.band("color", pixels.subarray(y * widthPx * 3, (y + rows) * widthPx * 3), rows);
  }
}

/** Median CPU seconds of several runs; the first, which compiles, is not counted. */
async function seconds(runs: number, work: () => unknown): Promise<number> {
  const taken: number[] = [];
  for (let i = 0; i <= runs; i++) taken.push(await ownSeconds(work));
  return median(taken.slice(1));
}

async function timePage(page: Page, folder: string, runs: number): Promise<{ rates: Group; times: Group }> {
  const { widthPx, heightPx } = page;
  const megapixels = (widthPx * heightPx) / 1e6;
  const table = idealInks();
  const kernel = await loadKernel(table);
  const decode = () => sharp(page.jpeg).raw().toBuffer();
  const pixels = await decode();
  const reference = await seconds(1, () =>
    halftone(() => makeDiffused(table, widthPx, "cmyk"), pixels, page),
  );
  const plain = await seconds(3, () =>
    halftone(() => makeHalftoner("floyd-steinberg", widthPx, "cmyk"), pixels, page),
  );
  const fused = await seconds(runs, () => halftone(() => kernel.halftoner(widthPx, "cmyk"), pixels, page));
  const decoding = await seconds(runs, decode);
  const whole = await seconds(runs, async () =>
    halftone(() => kernel.halftoner(widthPx, "cmyk"), await decode(), page),
  );
  const rate = (label: string, time: number, own: boolean) => ({ label, value: megapixels / time, own });
  const rates = [
    rate("reference (plain TypeScript)", reference, true),
    rate("plain TypeScript, Floyd–Steinberg", plain, false),
    rate("kernel, colour and dots", fused, true),
    rate("JPEG decoding (sharp)", decoding, false),
    rate("JPEG to planes", whole, true),
  ];
  await writeFiles(page, folder);
  const times = [{ label: "Platen", value: whole, own: true }];
  for (const [label, command] of peers) {
    const time = await commandSeconds(command(page.name), folder);
    if (time === undefined) console.log(`${label}: not installed, or failed`);
    else times.push({ label, value: time, own: false });
  }
  return {
    rates: { title: `${page.name} page: Mpixel/s, more is better`, bars: rates },
    times: { title: `${page.name} page, JPEG to one-bit planes: CPU s, less is better`, bars: times },
  };
}

const print = ({ title, bars }: Group, base: number): void => {
  console.log(`\n${title}`);
  for (const { label, value } of bars) {
    console.log(
      `  ${label.padEnd(36)} ${value.toPrecision(3).padStart(7)}   × ${(value / base).toPrecision(3)}`,
    );
  }
};

export async function speed(imageFolder: string, chartFile: string, runs = 5): Promise<void> {
  sharp.concurrency(1);
  const photo = join(imageFolder, "derived-a4-600dpi-photo.jpg");
  const pages = [await textPage()];
  if (existsSync(photo)) pages.unshift(await photoPage(photo));
  else console.log(`no ${photo}: the photo is left out`);
  const folder = await mkdtemp(join(tmpdir(), "platen-bench-"));
  console.log(`A4 at 600 dpi, CPU time, medians of ${runs}; load of the machine ${loadavg()[0]!.toFixed(1)}`);
  const groups: Group[] = [];
  try {
    for (const page of pages) {
      const { rates, times } = await timePage(page, folder, runs);
      print(rates, rates.bars[1]!.value);
      print(times, times.bars[0]!.value);
      groups.push(times);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await writeFile(chartFile, barChart("A4 page at 600 dpi, JPEG to one-bit CMYK", groups, "s"));
  console.log(`\nchart: ${chartFile}`);
}

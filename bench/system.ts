/**
 * `npm run bench -- system [ROUNDS] [--chart FILE]`: documents through a whole Platen and through a whole CUPS (its queue ends in
 * one-bit CMYK raster of Ghostscript's), and through programs that only convert. A4 at 600 dpi, four planes of one bit. The documents
 * come from PLATEN_SHARED (default ../shared)/corpus. Wants root, for cupsd.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundlePrinter } from "./pipeline/bundle.ts";
import { barChart, type Group } from "./support/bars.ts";
import { median } from "./support/clock.ts";
import { sharedFolder } from "./support/shared.ts";
import { startCups } from "./system/cups.ts";
import { converters } from "./system/converters.ts";
import { startPlaten } from "./system/platen.ts";
import type { Printed, PrintSystem } from "./system/print-system.ts";

const documents = [
  { name: "two-column paper", file: "pdfjs-tracemonkey.pdf", pages: 14 },
  { name: "office, with photos", file: "cups-document-letter.pdf", pages: 4 },
  { name: "book of mathematics", file: "pypdf-GeoTopo-komprimiert.pdf", pages: 20 },
  { name: "test page", file: "deb-default-testpage.pdf", pages: 1 },
] as const;

function row(label: string, cells: readonly string[]): void {
  console.log(`${label.padEnd(24)}${cells.map((cell) => cell.padStart(12)).join("")}`);
}

function medianOf(printed: readonly Printed[]): Printed {
  const of = (value: (one: Printed) => number): number => median(printed.map(value));
  const [cpuS, wallS] = [of((one) => one.cpuS), of((one) => one.wallS)];
  const tells = printed.every(({ firstS }) => firstS !== undefined);
  return tells ? { cpuS, wallS, firstS: of(({ firstS }) => firstS!) } : { cpuS, wallS };
}

/** What starts, and a word about what does not. */
async function systemsIn(folder: string, made: AsyncDisposableStack): Promise<PrintSystem[]> {
  const systems = [made.use(await startPlaten(folder, await bundlePrinter(join(folder, "app"))))];
  try {
    systems.push(made.use(await startCups()));
  } catch (error) {
    console.log(`without CUPS: ${(error as Error).message}`);
  }
  return [...systems, ...converters];
}

export async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { chart: { type: "string" } },
  });
  const rounds = Number(positionals[0] ?? 3);
  const corpus = join(sharedFolder, "corpus", "pdf");
  const folder = await mkdtemp(join(tmpdir(), "platen-bench-"));
  const groups: Group[] = [];
  try {
    await using made = new AsyncDisposableStack();
    const systems = await systemsIn(folder, made);
    // Programs are loaded, pools are full.
    const warmUp = documents.at(-1)!;
    for (const system of systems)
      await system.print({ file: join(corpus, warmUp.file), pages: warmUp.pages });
    for (const { name, file, pages } of documents) {
      const taken = new Map(systems.map((system) => [system, [] as Printed[]]));
      for (let round = 0; round < rounds; round++) {
        for (const [system, printed] of taken)
          printed.push(await system.print({ file: join(corpus, file), pages }));
      }
      const title = `${name}, ${pages} ${pages === 1 ? "page" : "pages"}`;
      console.log(`\n${title}, medians of ${rounds}`);
      row("", ["CPU s/page", "×", "wall s/page", "×", "first s"]);
      const all = [...taken].map(([{ label }, printed]) => ({ label, ...medianOf(printed) }));
      const ours = all[0]!;
      for (const { label, cpuS, wallS, firstS } of all) {
        row(label, [
          (cpuS / pages).toFixed(3),
          (cpuS / ours.cpuS).toFixed(2),
          (wallS / pages).toFixed(3),
          (wallS / ours.wallS).toFixed(2),
          firstS?.toFixed(2) ?? "–",
        ]);
      }
      const bars = all.map(({ label, wallS }) => ({
        label,
        value: wallS / pages,
        own: label === ours.label,
      }));
      groups.push({ title, bars });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  if (values.chart !== undefined)
    await writeFile(values.chart, barChart("Seconds a page, from the command to the job's end", groups, "s"));
}

/**
 * The sheets of one job as PNG files in a folder of its own. A sheet gets its names only when it is whole, so whatever has a
 * name is a stacked sheet:
 *
 *     sheet-0001-front.png            what it looks like, at about 150 dpi (preview.ts)
 *     sheet-0001-front-cyan.png …     the dots themselves, one bit a pixel, in white and the colour of the ink
 */
import { readdir, readFile, rename, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import type { Colorant, PageStart, PlanarBand } from "../ports/engine-driver.ts";
import { PngWriter } from "./png-writer.ts";
import { Preview, previewFactor } from "./preview.ts";
import { makeFolder, replaceFile } from "./replace-file.ts";

const inkColors: Readonly<Record<Colorant, number>> = {
  cyan: 0x00ffff,
  magenta: 0xff00ff,
  yellow: 0xffff00,
  black: 0x000000,
};
const paper = 0xffffff;

const partSuffix = ".part";
/** Says how many sheets are stacked, for a controller that restarts in the middle of the job. */
const journalName = ".sheets-stacked";

/** The folder of a job. Throws `invalid-argument` for an id that could lead elsewhere. */
export function jobFolder(root: string, jobId: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(jobId)) {
    throw new PlatenError("invalid-argument", `${JSON.stringify(jobId.slice(0, 80))} cannot name a folder`);
  }
  return join(root, jobId);
}

/** The files of one side, under names that are not final yet. */
class PngSide {
  readonly names: readonly string[];
  readonly #preview: Preview;
  readonly #previewFile: PngWriter;
  readonly #planeFiles: ReadonlyMap<Colorant, PngWriter>;
  #blank = new Uint8Array(0);

  constructor(folder: string, page: PageStart) {
    const { widthPx, heightPx, resolutionDpi, colorants } = page;
    const stem = `sheet-${String(page.sheetNumber).padStart(4, "0")}-${page.side}`;
    const planeNames = colorants.map((colorant) => `${stem}-${colorant}.png`);
    // The preview comes last: who sees it finds the planes too.
    this.names = [...planeNames, `${stem}.png`];
    const part = (name: string) => join(folder, name + partSuffix);
    this.#preview = new Preview(widthPx, heightPx, resolutionDpi);
    this.#previewFile = new PngWriter(part(this.names.at(-1)!), {
      widthPx: this.#preview.widthPx,
      heightPx: this.#preview.heightPx,
      resolutionDpi: resolutionDpi / previewFactor(resolutionDpi),
      pixels: { kind: "rgb" },
    });
    this.#planeFiles = new Map(
      colorants.map((colorant, i) => {
        const colors: [number, number] = [paper, inkColors[colorant]];
        const pixels = { kind: "two-colors" as const, colors };
        return [colorant, new PngWriter(part(planeNames[i]!), { widthPx, heightPx, resolutionDpi, pixels })];
      }),
    );
  }

  async add(band: PlanarBand): Promise<void> {
    const sizeBytes = band.rowsPx * band.strideBytes;
    if (this.#blank.length < sizeBytes) this.#blank = new Uint8Array(sizeBytes);
    const blank = this.#blank.subarray(0, sizeBytes);
    const planes = [...this.#planeFiles].map(([colorant, file]) => {
      const bits = band.planes.find((plane) => plane.colorant === colorant)?.bits;
      return file.write(bits ?? blank);
    });
    await Promise.all([...planes, this.#previewFile.write(this.#preview.add(band))]);
  }

  async finish(): Promise<void> {
    await Promise.all([...this.#planeFiles.values(), this.#previewFile].map((file) => file.finish()));
  }

  async abandon(): Promise<void> {
    await Promise.all([...this.#planeFiles.values(), this.#previewFile].map((file) => file.abandon()));
  }
}

export class PngJob {
  readonly folder: string;
  #sheetsStacked: number;
  #side: PngSide | undefined;
  /** Final names of the sheet under way. */
  #names: string[] = [];

  private constructor(folder: string, sheetsStacked: number) {
    this.folder = folder;
    this.#sheetsStacked = sheetsStacked;
  }

  /** Opens the job's folder, and makes it when it does not exist; what an unfinished sheet left is removed. */
  static async open(root: string, jobId: string): Promise<PngJob> {
    const folder = jobFolder(root, jobId);
    makeFolder(folder);
    for (const name of await readdir(folder)) {
      if (name.endsWith(partSuffix)) await rm(join(folder, name), { force: true });
    }
    const journal = await readFile(join(folder, journalName), "utf8").catch(() => "0");
    return new PngJob(folder, Number.parseInt(journal, 10) || 0);
  }

  /** Sheets that are whole, from an earlier run of the controller too. */
  get sheetsStacked(): number {
    return this.#sheetsStacked;
  }

  async startPage(page: PageStart): Promise<void> {
    if (page.side === "front") await this.discard();
    this.#side = new PngSide(this.folder, page);
    this.#names.push(...this.#side.names);
  }

  async writeBand(band: PlanarBand): Promise<void> {
    await this.#side?.add(band);
  }

  async endPage(): Promise<void> {
    await this.#side?.finish();
    this.#side = undefined;
  }

  /** The sheet under way is whole. */
  async stack(sheetNumber: number): Promise<void> {
    for (const name of this.#names) {
      const path = join(this.folder, name);
      await rename(path + partSuffix, path);
    }
    this.#names = [];
    // With the journal the new names in its folder are on the disk, and the sheet's bytes were before.
    replaceFile(join(this.folder, journalName), `${sheetNumber}\n`, 0o644);
    this.#sheetsStacked = sheetNumber;
  }

  /** Nothing remains of the sheet under way. */
  async discard(): Promise<void> {
    await this.#side?.abandon();
    this.#side = undefined;
    for (const name of this.#names) await rm(join(this.folder, name + partSuffix), { force: true });
    this.#names = [];
  }

  /** Gives the job up. Sheets that are stacked stay; without any, so much as the folder goes. */
  async abandon(): Promise<void> {
    await this.discard();
    // Refused when there is something in it.
    if (this.#sheetsStacked === 0) await rmdir(this.folder).catch(() => {});
  }
}

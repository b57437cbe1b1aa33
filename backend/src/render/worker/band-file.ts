/** A side's bands on disk: Band messages, each behind its length (metafile.proto). */
import { type FileHandle, open } from "node:fs/promises";
import { BandContent, BandSchema, encodeSizeDelimited } from "@platen/proto/metafile";
import type { Rendered } from "../protocol.ts";
import type { EncodedBand } from "./encode.ts";
import { type PixelContent, pixelContent } from "./pixels.ts";

/** Bands that are being encoded at once, while later ones are cut. */
const maxEncoding = 3;

const bandContent: Readonly<Record<PixelContent, BandContent>> = {
  [pixelContent.blank]: BandContent.BLANK,
  [pixelContent.grey]: BandContent.GREY,
  [pixelContent.color]: BandContent.COLOR,
};

interface PendingBand {
  rowsPx: number;
  readonly content: PixelContent;
  /** Absent for a blank band. */
  readonly encoded?: Promise<EncodedBand>;
}

/** Writes bands in order, as their encoders finish. Neighbouring blank rows become one band. */
export class BandFile implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #pending: PendingBand[] = [];
  #yPx = 0;
  #sizeBytes = 0;
  readonly #count: Record<PixelContent, number> = { 0: 0, 1: 0, 2: 0 };

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Makes the file, in the place of what a worker that crashed has left. */
  static async create(path: string): Promise<BandFile> {
    return new BandFile(await open(path, "w"));
  }

  /** The next rows, without ink. */
  async blank(rowsPx: number): Promise<void> {
    const last = this.#pending.at(-1);
    if (last?.content === pixelContent.blank) last.rowsPx += rowsPx;
    else await this.#push({ rowsPx, content: pixelContent.blank });
  }

  /** The next rows. Waits while `maxEncoding` bands are being encoded. */
  async inked(rowsPx: number, content: PixelContent, encoded: Promise<EncodedBand>): Promise<void> {
    // Awaited when its turn comes, which may be never when a band before it fails.
    encoded.catch(() => {});
    await this.#push({ rowsPx, content, encoded });
  }

  /** The side is complete. */
  async finish(): Promise<Rendered> {
    await this.#writeAllBut(0);
    return {
      kind: "rendered",
      sizeBytes: this.#sizeBytes,
      blankBands: this.#count[pixelContent.blank],
      greyBands: this.#count[pixelContent.grey],
      colorBands: this.#count[pixelContent.color],
    };
  }

  async #push(band: PendingBand): Promise<void> {
    this.#pending.push(band);
    await this.#writeAllBut(maxEncoding);
  }

  async #writeAllBut(leave: number): Promise<void> {
    while (this.#pending.length > leave) await this.#write(this.#pending.shift()!);
  }

  async #write({ rowsPx, content, encoded }: PendingBand): Promise<void> {
    const message = encodeSizeDelimited(BandSchema, {
      yPx: this.#yPx,
      rowsPx,
      content: bandContent[content],
      ...(await encoded),
    });
    await this.#file.writeFile(message);
    this.#yPx += rowsPx;
    this.#sizeBytes += message.length;
    this.#count[content]++;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** For tests: a converter over documents in memory, and what shows which way up a page came out. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ConversionSettings, ConversionSettingsSchema, JobTicketSchema } from "@platen/proto";
import { expect } from "vitest";
import type { Converter, MediaType } from "../ports/converter.ts";
import { createConverter } from "./converter.ts";
import { type Picture, pictureOf } from "./test-support.ts";

export type TicketInit = MessageInitShape<typeof JobTicketSchema>;

export const never = new AbortController().signal;

/** Media of that size in points at 72 dpi: a point is a pixel. */
export const settings = (widthPt: number, heightPt: number, ticket: TicketInit = {}): ConversionSettings =>
  create(ConversionSettingsSchema, {
    mediaWidthUm: Math.round((widthPt / 72) * 25_400),
    mediaHeightUm: Math.round((heightPt / 72) * 25_400),
    ticket: create(JobTicketSchema, { printerResolutionDpi: 72, numberUp: 1, ...ticket }),
  });

export interface ConvertOptions {
  readonly mediaType?: MediaType;
  readonly by?: Converter;
}

export class TestConverter implements AsyncDisposable {
  readonly converter: Converter;
  /** The workers'. */
  readonly tempDir: string;
  readonly #folder: string;
  #files = 0;

  private constructor(folder: string, tempDir: string) {
    this.#folder = folder;
    this.tempDir = tempDir;
    this.converter = createConverter({ workers: 2, tempDir });
  }

  static async open(): Promise<TestConverter> {
    const folder = await mkdtemp(join(tmpdir(), "platen-converter-"));
    return new TestConverter(folder, await mkdtemp(join(folder, "temp-")));
  }

  async fileOf(bytes: Uint8Array): Promise<string> {
    const path = join(this.#folder, `document-${this.#files++}`);
    await writeFile(path, bytes);
    return path;
  }

  /** All pages of a document, in order. */
  async convert(
    document: Uint8Array,
    to: ConversionSettings,
    { mediaType = "application/pdf", by = this.converter }: ConvertOptions = {},
  ): Promise<Picture[]> {
    await using open = await by.open(await this.fileOf(document), mediaType, to, never);
    const pictures: Picture[] = [];
    const numbers = open.impressions.map((impression) => impression.pageNumber);
    for await (const page of open.convert(numbers, never)) {
      pictures[page.pageNumber - 1] = await pictureOf(page, open.impressions[page.pageNumber - 1]!);
    }
    return pictures;
  }

  /** Expects that no work left a file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.converter[Symbol.asyncDispose]();
    expect(await readdir(this.tempDir)).toEqual([]);
    await rm(this.#folder, { recursive: true });
  }
}

/** A pixel as rrggbb. */
export const hex = (picture: Picture | undefined, x: number, y: number): string =>
  picture?.at(x, y).toString(16).padStart(6, "0") ?? "none";

/** Colours near the corners: top left, top right, bottom left, bottom right. */
export const cornersOf = (picture: Picture | undefined): string[] => {
  const [right, bottom] = [(picture?.widthPx ?? 0) - 4, (picture?.heightPx ?? 0) - 4];
  return [hex(picture, 4, 4), hex(picture, right, 4), hex(picture, 4, bottom), hex(picture, right, bottom)];
};

/** The corners of what is drawn red, green, blue and black in this order. */
export const upright = ["ff0000", "00ff00", "0000ff", "000000"];

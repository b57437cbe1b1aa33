/**
 * Real and hostile PDFs, page by page against what two other renderers made of them. The corpus is not part of the
 * repository: PLATEN_SHARED says where it is, and without it these tests are skipped.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { ConversionSettingsSchema, type ErrorCode, JobTicketSchema } from "@platen/proto";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inkSimilarity } from "../../../e2e/support/ink-similarity.ts";
import type { Converter } from "../ports/converter.ts";
import { createConverter } from "./converter.ts";
import { pictureOf, pngOf } from "./test-support.ts";

const root = new URL("../../../", import.meta.url);
const corpus = new URL(`${process.env["PLATEN_SHARED"] ?? "../shared"}/corpus/`, root).pathname;
const manifest = join(corpus, "MANIFEST.tsv");
const present = existsSync(manifest);
if (!present) console.warn(`skipped: no corpus at ${corpus}`);

/** The references are at 100 dpi; pages are converted so too, onto media of the page's own size. */
const dpi = 100;
const umPerPx = 25_400 / dpi;
const leastSimilarity = 0.7;
const maxPages = 3;

/** Where the references do not tell right from wrong. */
const notScored: Readonly<Record<string, string>> = {
  "pdfjs-jpx_smaskindata": "the two references disagree",
  "pdfdiff-InlineAbbreviations": "both references fail it; the right rendering is eight times the same image",
  "pdfjs-ContentStreamCycleType3insideType3": "how deep a glyph may recurse into itself is free",
};

/** What may become of the files that are not plainly to be printed, by what the manifest expects. */
const refusals: readonly (readonly [expected: RegExp, codes: readonly (ErrorCode | "converted")[]])[] = [
  [/^password error/, ["document-password"]],
  [/^damaged/, ["document-damaged"]],
  [/^time\/size limit error/, ["conversion-time-limit", "conversion-memory-limit"]],
  [
    /damaged error|size refusal|page-too-small/,
    [
      "converted",
      "document-damaged",
      "document-too-large",
      "conversion-time-limit",
      "conversion-memory-limit",
    ],
  ],
];

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly expected: string;
}

const entries: Entry[] = present
  ? readFileSync(manifest, "utf8")
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.split("\t"))
      .map(([file = "", , , , expected = ""]) => ({
        name: file.replace(/\.pdf$/, ""),
        path: join(corpus, "pdf", file),
        expected,
      }))
  : [];

const referencesOf = (name: string, page: number): string[] =>
  ["mupdf", "poppler"]
    .map((renderer) => join(corpus, "reference", renderer, `${name}-${page}.png`))
    .filter((path) => existsSync(path));

const pages = entries
  .filter(({ expected }) => expected.startsWith("prints"))
  .flatMap(({ name, path }) =>
    Array.from({ length: maxPages }, (_, i) => i + 1)
      .map((page) => ({ name, path, page, references: referencesOf(name, page) }))
      .filter(({ references }) => references.length > 0),
  );

describe.skipIf(!present)("the corpus", () => {
  let tempDir: string;
  let converter: Converter;
  beforeAll(async () => {
    tempDir = await mkdtemp(join(tmpdir(), "platen-corpus-"));
    converter = createConverter({
      workers: 2,
      tempDir,
      pageTimeoutMs: 15_000,
      memoryLimitBytes: 1.5 * 2 ** 30,
    });
  });
  afterAll(async () => {
    await converter[Symbol.asyncDispose]();
    expect(await readdir(tempDir)).toEqual([]);
    await rm(tempDir, { recursive: true });
  });

  /** One page on media of that size, as a PNG. */
  async function render(path: string, page: number, widthPx: number, heightPx: number): Promise<Buffer> {
    const settings = create(ConversionSettingsSchema, {
      mediaWidthUm: widthPx * umPerPx,
      mediaHeightUm: heightPx * umPerPx,
      ticket: create(JobTicketSchema, {
        printerResolutionDpi: dpi,
        numberUp: 1,
        pageRanges: [{ firstPage: page, lastPage: page }],
      }),
    });
    const { signal } = new AbortController();
    await using document = await converter.open(path, "application/pdf", settings, signal);
    const [impression] = document.impressions;
    const [converted] = await Array.fromAsync(document.convert([1], signal));
    return pngOf(await pictureOf(converted!, impression!));
  }

  it("is not empty", () => {
    expect(pages.length).toBeGreaterThan(50);
  });

  it.concurrent.for(pages)("$name, page $page, looks like a reference", { timeout: 60_000 }, async (page) => {
    const similarities: number[] = [];
    const rendered = new Map<string, Buffer>();
    for (const reference of page.references) {
      // A renderer may show the crop box where the other shows the media box.
      const { width, height } = await sharp(reference).metadata();
      const size = `${width}x${height}`;
      const picture = rendered.get(size) ?? (await render(page.path, page.page, width, height));
      rendered.set(size, picture);
      similarities.push(await inkSimilarity(picture, reference));
    }
    if (page.name in notScored) return;
    expect(Math.max(...similarities)).toBeGreaterThanOrEqual(leastSimilarity);
  });

  const others = entries.filter(({ expected }) => refusals.some(([pattern]) => pattern.test(expected)));

  it.concurrent.for(others)("$name: $expected", { timeout: 60_000 }, async ({ path, expected }) => {
    const [, allowed = []] = refusals.find(([pattern]) => pattern.test(expected)) ?? [];
    const outcome = await render(path, 1, 827, 1169).then(
      () => "converted",
      (error: { code?: string }) => error.code,
    );
    expect(allowed).toContain(outcome);
  });
});

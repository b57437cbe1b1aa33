/**
 * Real, damaged and hostile PDFs from upload to sheet, against what two other renderers made of them. The corpus is not part
 * of the repository: PLATEN_SHARED says where it is, and without it these tests are skipped.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { startPrinter } from "@platen/firmware-node";
import { hasCode, type Job, JobState, PrintScaling } from "@platen/proto";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inkSimilarity, type Picture } from "./support/ink-similarity.ts";
import { ended, submit, type Ticket } from "./support/jobs.ts";
import { embeddedSystem, type TestSystem } from "./support/system.ts";
import { watchWorkerMemory } from "./support/worker-memory.ts";

const root = new URL("../", import.meta.url);
const corpus = new URL(`${process.env["PLATEN_SHARED"] ?? "../shared"}/corpus/`, root).pathname;
const manifest = join(corpus, "MANIFEST.tsv");
const present = existsSync(manifest);
if (!present) console.warn(`skipped: no corpus at ${corpus}`);

/** Of the references; a preview of 300 dpi dots has half as many more. */
const referenceDpi = 100;
const resolutionDpi = 300;
const leastSimilarity = 0.7;
const maxPages = 3;
/** The largest custom media of the printer: as wide and as long as A3. */
const mediaMostMm = { width: 297, height: 420 };
const mediaLeastMm = 1;

const pageTimeoutMs = 10_000;
const memoryLimitBytes = 1024 * 2 ** 20;

/** Where a reference does not tell right from wrong. */
const notScored: Readonly<Record<string, string>> = {
  "pdfjs-jpx_smaskindata": "the two references disagree",
  "pdfdiff-InlineAbbreviations": "both references fail it; the right rendering is eight times the same image",
  "pdfjs-ContentStreamCycleType3insideType3": "how deep a glyph may recurse into itself is free",
  "pypdf-imagemagick-lzw": "the references are six pixels wide, for a page of five and a third",
  "pdfjs-noembed-sjis": "the font is not embedded, and glyph shapes are free",
  "pdfjs-noembed-identity": "the font is not embedded, and glyph shapes are free",
};

/** How a job may end, by what the manifest says of its file. */
const outcomes: readonly (readonly [expected: RegExp, outcomes: readonly string[]])[] = [
  [/^prints/, ["completed"]],
  [/damaged/, ["document-damaged"]],
  [/unsupported format/, ["document-format"]],
  [/password/, ["document-password"]],
  [/size refusal|too-small refusal/, ["ticket-unsupported", "document-too-large"]],
  [/limit error|HOSTILE/, ["conversion-time-limit", "conversion-memory-limit", "document-too-large"]],
];

interface Reference {
  readonly page: number;
  readonly path: string;
}

/** One job: the pages of a file that have references of one size, on media of that size. */
interface Print {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly references: readonly Reference[];
}

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly expected: string;
  readonly hostile: boolean;
  readonly allowed: readonly string[];
}

function readManifest(): Entry[] {
  const [, ...lines] = readFileSync(manifest, "utf8").trim().split("\n");
  return lines.map((line) => {
    const [file = "", , , exercises = "", expected = ""] = line.split("\t");
    const hostile = exercises.startsWith("HOSTILE");
    const said = hostile ? `${expected} HOSTILE` : expected;
    return {
      name: file.replace(/\.pdf$/, ""),
      path: join(corpus, "pdf", file),
      expected,
      hostile,
      allowed: outcomes.flatMap(([pattern, codes]) => (pattern.test(said) ? codes : [])),
    };
  });
}

/** The jobs of a file. Renderers may differ about a page's size: one shows the crop box where another shows the media box. */
async function printsOf(name: string): Promise<Print[]> {
  const prints = new Map<string, Print & { references: Reference[] }>();
  for (let page = 1; page <= maxPages; page++) {
    for (const renderer of ["mupdf", "poppler"]) {
      const path = join(corpus, "reference", renderer, `${name}-${page}.png`);
      if (!existsSync(path)) continue;
      const { width: widthPx, height: heightPx } = await sharp(path).metadata();
      if ((Math.min(widthPx, heightPx) / referenceDpi) * 25.4 < mediaLeastMm) continue;
      const size = `${widthPx}x${heightPx}`;
      const print = prints.get(size) ?? { widthPx, heightPx, references: [] };
      prints.set(size, print);
      print.references.push({ page, path });
    }
  }
  // Without references, what becomes of the first page.
  return prints.size ? [...prints.values()] : [{ widthPx: 827, heightPx: 1169, references: [] }];
}

/** At most 1; how much a page is made smaller to fit the printer's largest media. */
const scaleOf = ({ widthPx, heightPx }: Print): number => {
  const mm = 25.4 / referenceDpi;
  return Math.min(1, mediaMostMm.width / (widthPx * mm), mediaMostMm.height / (heightPx * mm));
};

const pagesOf = ({ references }: Print): number[] => [...new Set(references.map(({ page }) => page))];

function ticketOf(print: Print): Ticket {
  const mm = (px: number): string => ((px / referenceDpi) * 25.4 * scaleOf(print)).toFixed(3);
  const pages = pagesOf(print);
  return {
    media: `custom_page_${mm(print.widthPx)}x${mm(print.heightPx)}mm`,
    printScaling: scaleOf(print) < 1 ? PrintScaling.FIT : PrintScaling.NONE,
    printerResolutionDpi: resolutionDpi,
    pageRanges: (pages.length ? pages : [1]).map((page) => ({ firstPage: page, lastPage: page })),
  };
}

interface Outcome {
  readonly job: Job;
  /** Pages of the document, with what the sink shows of them. */
  readonly sheets: ReadonlyMap<number, string>;
}

const endOf = (outcome: Outcome | string): string => {
  if (typeof outcome === "string") return outcome;
  return outcome.job.state === JobState.COMPLETED ? "completed" : outcome.job.errorCode;
};

/** Whether nothing is on a sheet. */
async function isBlank(sheet: Picture): Promise<boolean> {
  const { channels } = await sharp(sheet).stats();
  return Math.min(...channels.map(({ min }) => min)) >= 245;
}

/** The best of the references, by page. */
async function similarities(print: Print, sheets: Outcome["sheets"]): Promise<Map<number, number>> {
  const best = new Map<number, number>();
  for (const { page, path } of print.references) {
    const sheet = sheets.get(page);
    if (!sheet) continue;
    // A page that was made smaller is compared at the size that it has on the sheet.
    const [widthPx, heightPx] = [print.widthPx, print.heightPx].map((px) => Math.round(px * scaleOf(print)));
    const reference =
      scaleOf(print) < 1
        ? await sharp(path).resize(widthPx, heightPx, { fit: "fill" }).png().toBuffer()
        : path;
    const similarity = await inkSimilarity(sheet, reference);
    best.set(page, Math.max(similarity, best.get(page) ?? -1));
  }
  return best;
}

const entries = present ? readManifest() : [];
const hostile = entries.filter((entry) => entry.hostile);
const others = entries.filter((entry) => !entry.hostile);

describe.skipIf(!present)("the corpus, from upload to sheet", () => {
  let system: TestSystem;
  let sheetsDir: string;
  let memory: ReturnType<typeof watchWorkerMemory>;
  const stack = new AsyncDisposableStack();
  /** The jobs of each file, all submitted at once. */
  const jobs = new Map<string, Promise<{ print: Print; outcome: Outcome | string }[]>>();

  /** Resolves to how a job ended, or to the code with which it was refused. */
  async function printOn(printerId: string, path: string, print: Print): Promise<Outcome | string> {
    try {
      const submitted = await submit(system, printerId, await readFile(path), ticketOf(print));
      const { job } = await ended(system, submitted);
      const dir = join(sheetsDir, job.jobId);
      const pages = pagesOf(print).slice(0, job.mediaSheetsCompleted);
      const sheets = pages.map(
        (page, n) => [page, join(dir, `sheet-${String(n + 1).padStart(4, "0")}-front.png`)] as const,
      );
      return { job, sheets: new Map(sheets) };
    } catch (error) {
      if (hasCode(error, "ticket-unsupported", "document-damaged", "document-format")) return error.code;
      throw error;
    }
  }

  async function printAll(printerId: string, { name, path }: Entry) {
    const done = [];
    for (const print of await printsOf(name)) {
      done.push({ print, outcome: await printOn(printerId, path, print) });
    }
    return done;
  }

  async function startPngPrinter(printerId: string): Promise<void> {
    const printer = stack.use(
      await startPrinter({
        printerId,
        backend: system.controllerAddress,
        resolution: resolutionDpi,
        sink: `png:${sheetsDir}`,
        stateDir: join(sheetsDir, ".state"),
      }),
    );
    await printer.registered;
  }

  beforeAll(async () => {
    sheetsDir = await mkdtemp(join(tmpdir(), "platen-corpus-"));
    stack.defer(() => rm(sheetsDir, { recursive: true }));
    memory = stack.use(watchWorkerMemory());
    system = stack.use(
      await embeddedSystem({
        renderWorkers: 2,
        renderPageTimeoutMs: pageTimeoutMs,
        renderOpenTimeoutMs: pageTimeoutMs,
        renderMemoryLimitBytes: memoryLimitBytes,
      }),
    );
    // Hostile documents have a printer of their own, so that one is under way all the time until they are through, and others
    // are printed beside them.
    const printers = ["one", "two", "three"];
    await Promise.all([...printers, "hostile"].map(startPngPrinter));
    const lanes = new Map<string, Promise<unknown>>();
    const line = (printerId: string, entry: Entry): void => {
      const before = lanes.get(printerId) ?? Promise.resolve();
      const done = before.then(() => printAll(printerId, entry));
      lanes.set(
        printerId,
        done.catch(() => {}),
      );
      jobs.set(entry.name, done);
    };
    for (const entry of hostile) line("hostile", entry);
    others.forEach((entry, n) => line(printers[n % printers.length]!, entry));
    for (const done of jobs.values()) done.catch(() => {});
  });

  afterAll(() => stack.disposeAsync());

  it("has the manifest's files, and each has an expected end", () => {
    expect(entries.length).toBeGreaterThanOrEqual(49);
    expect(entries.filter(({ allowed }) => allowed.length === 0)).toEqual([]);
  });

  it.each([...others, ...hostile])(
    "$name: $expected",
    { timeout: 240_000 },
    async ({ name, allowed, hostile }) => {
      const scores = new Map<number, number>();
      for (const { print, outcome } of await jobs.get(name)!) {
        const said = typeof outcome === "string" ? outcome : outcome.job.stateMessage;
        expect(allowed, said).toContain(endOf(outcome));
        if (typeof outcome === "string") continue;
        const { job, sheets } = outcome;
        if (job.state !== JobState.COMPLETED) {
          expect(job.state).toBe(JobState.ABORTED);
          expect(job.stateMessage).not.toBe("");
          continue;
        }
        expect(job.mediaSheetsCompleted).toBe(ticketOf(print).pageRanges!.length);
        if (hostile) continue;
        for (const [page, score] of await similarities(print, sheets))
          scores.set(page, Math.max(score, scores.get(page) ?? -1));
        if (name in notScored) for (const sheet of sheets.values()) expect(await isBlank(sheet)).toBe(false);
      }
      if (name in notScored) return;
      for (const [page, score] of scores)
        expect(score, `page ${page}`).toBeGreaterThanOrEqual(leastSimilarity);
    },
  );

  it("other jobs go on while a hostile document takes all the time that it may", async () => {
    const results = (await Promise.all(jobs.values())).flat().map(({ outcome }) => outcome);
    const ended = results.flatMap((outcome) => (typeof outcome === "string" ? [] : [outcome.job]));
    const [slow] = ended.filter(({ errorCode }) => errorCode === "conversion-time-limit");
    const [from, to] = [slow?.createTime, slow?.endTime].map((time) => timestampMs(time!));
    const meanwhile = ended.filter(({ endTime, state }) => {
      const time = timestampMs(endTime!);
      return state === JobState.COMPLETED && time > from! && time < to!;
    });
    expect(meanwhile).not.toEqual([]);
  });

  it("no render worker takes more memory than it may", () => {
    expect(memory.workers).toBeGreaterThan(1);
    // It is looked at from time to time only.
    expect(memory.mostBytes).toBeLessThan(memoryLimitBytes * 1.25);
  });
});

/** What becomes of documents that hang, swell or crash, of workers that are killed, and of callers that give up. */
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { ConversionSettingsSchema, JobTicketSchema } from "@platen/proto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { heavy, pdf, stamps } from "../../../e2e/support/pdf.ts";
import type { ConvertedPage, Converter, OpenDocument } from "../ports/converter.ts";
import { type ConverterOptions, createConverter } from "./converter.ts";

const never = new AbortController().signal;

let folder: string;
let tempDir: string;
/** For tests that leave its one worker alive. */
let shared: Converter;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-limits-"));
  tempDir = await mkdtemp(join(folder, "temp-"));
  shared = converterWith();
});
afterEach(async () => {
  expect(await readdir(tempDir), "nothing is left behind, whatever happened").toEqual([]);
});
afterAll(async () => {
  await shared[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const converterWith = (options: ConverterOptions = {}): Converter =>
  createConverter({ workers: 1, tempDir, ...options });

let files = 0;
async function open(
  converter: Converter,
  document: Uint8Array,
  name = `document-${files++}`,
): Promise<OpenDocument> {
  const path = join(folder, name);
  await writeFile(path, document);
  const settings = create(ConversionSettingsSchema, {
    mediaWidthUm: 25_400,
    mediaHeightUm: 25_400,
    ticket: create(JobTicketSchema, { printerResolutionDpi: 72, numberUp: 1 }),
  });
  return converter.open(path, "application/pdf", settings, never);
}

const numbersOf = ({ impressions }: OpenDocument): number[] => impressions.map((one) => one.pageNumber);

async function convertAll(document: OpenDocument, signal = never): Promise<ConvertedPage[]> {
  return Array.fromAsync(document.convert(numbersOf(document), signal));
}

/** Has all workers render, so that on a busy machine a good page is well within a short limit: the first one takes longest. */
async function warmUp(document: OpenDocument): Promise<void> {
  for (const { path } of await convertAll(document)) await rm(path);
}

/**
 * Ten forms, each of which draws the next one ten times: 10^9 squares from two kilobytes. They are on the last page; the one
 * before it is empty.
 */
function endless({ pages = 1 } = {}): Buffer {
  const kids = ["19 0 R", "20 0 R"].slice(-pages).join(" ");
  const last = 12;
  const form = (number: number): string => {
    const content = number === last ? "0 0 9 9 re f" : "/F Do ".repeat(10);
    const resources = number === last ? "" : `/Resources << /XObject << /F ${number + 1} 0 R >> >>`;
    return (
      `${number} 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 72 72] ${resources} /Length ${content.length} >>` +
      `\nstream\n${content}\nendstream endobj`
    );
  };
  const forms = Array.from({ length: last - 2 }, (_, i) => form(i + 3));
  return Buffer.from(
    [
      "%PDF-1.4",
      "1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj",
      `2 0 obj << /Type /Pages /Count ${pages} /Kids [${kids}] >> endobj`,
      ...forms,
      "19 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] >> endobj",
      "20 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] /Contents 21 0 R",
      "/Resources << /XObject << /F 3 0 R >> >> >> endobj",
      "21 0 obj << /Length 5 >>\nstream\n/F Do\nendstream endobj",
      "trailer << /Root 1 0 R /Size 22 >>",
    ].join("\n"),
  );
}

/** Worker processes of this or another process. */
async function workersOf(parent = process.pid): Promise<number[]> {
  const workers: number[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const read = (name: string) => readFile(`/proc/${pid}/${name}`, "latin1").catch(() => "");
    if (!new RegExp(`^PPid:\\s+${parent}$`, "m").test(await read("status"))) continue;
    if ((await read("cmdline")).includes("worker/main.ts")) workers.push(Number(pid));
  }
  return workers;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await wait(5);
}

const aPageIsBegun = async (): Promise<boolean> =>
  (await readdir(tempDir, { recursive: true })).some((name) => name.endsWith(".bands"));

const isGone = async (pid: number): Promise<boolean> =>
  // A zombie has no command line.
  (await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "")) === "";

/** Processes can be looked at here. */
const hasProc = existsSync("/proc/self/status");

describe("a document that never ends", () => {
  it("ends at the time limit, while another one is converted and after", async () => {
    await using converter = converterWith({ workers: 2, pageTimeoutMs: 2500 });
    await using hostile = await open(converter, endless());
    await using good = await open(converter, stamps(3));
    await warmUp(good);
    const [ended, pages] = await Promise.allSettled([convertAll(hostile), convertAll(good)]);
    expect(ended).toMatchObject({
      status: "rejected",
      reason: { code: "conversion-time-limit", message: expect.stringContaining("2.5 seconds") },
    });
    expect(pages).toMatchObject({ value: { length: 3 } });
    expect(await convertAll(good)).toHaveLength(3);
  });

  it.skipIf(!hasProc)("may end while the taker is busy with another page", async () => {
    await using converter = converterWith({ workers: 2, pageTimeoutMs: 2500 });
    await using hostile = await open(converter, endless({ pages: 2 }));
    await using good = await open(converter, stamps(3));
    await warmUp(good);
    const pages = hostile.convert([1, 2], never)[Symbol.asyncIterator]();
    expect(await pages.next()).toMatchObject({ value: { pageNumber: 1 } });
    await until(async () => (await workersOf()).length === 1);
    await expect(pages.next()).rejects.toMatchObject({ code: "conversion-time-limit" });
  });

  it.skipIf(!hasProc)("ends at the memory limit", async () => {
    await using converter = converterWith({ memoryLimitBytes: 400 * 2 ** 20 });
    await using hostile = await open(converter, endless());
    await expect(convertAll(hostile)).rejects.toMatchObject({
      code: "conversion-memory-limit",
      message: expect.stringContaining("400 MiB"),
    });
    await using good = await open(converter, stamps(1));
    expect(await convertAll(good)).toHaveLength(1);
  });

  it.skipIf(!hasProc)("does not outlive the process that began it", async () => {
    const script = join(folder, "parent.mjs");
    const document = join(folder, "endless.pdf");
    await writeFile(document, endless());
    await writeFile(
      script,
      `import { createConverter } from ${JSON.stringify(new URL("./converter.ts", import.meta.url).href)};
       const settings = { mediaWidthUm: 25400, mediaHeightUm: 25400, ticket: { printerResolutionDpi: 72, numberUp: 1, pageRanges: [] } };
       const converter = createConverter({ workers: 1, tempDir: ${JSON.stringify(tempDir)} });
       const signal = new AbortController().signal;
       const document = await converter.open(${JSON.stringify(document)}, "application/pdf", settings, signal);
       for await (const page of document.convert([1], signal)) void page;`,
    );
    const parent = fork(script, { execArgv: [], stdio: "inherit" });
    await until(aPageIsBegun);
    const [worker] = await workersOf(parent.pid);
    expect(worker).toBeDefined();
    parent.kill("SIGKILL");
    await until(() => isGone(worker!));
    for (const name of await readdir(tempDir)) await rm(join(tempDir, name), { recursive: true });
  });
});

describe.skipIf(!hasProc)("a worker that is killed", () => {
  it("in the middle of a page is replaced, and the page converted", async () => {
    await using converter = converterWith();
    await using document = await open(converter, pdf([heavy(1)]));
    const [first] = await workersOf();
    const pages = convertAll(document);
    await until(aPageIsBegun);
    process.kill(first!, "SIGKILL");
    expect(await pages).toMatchObject([{ pageNumber: 1 }]);
    const now = await workersOf();
    expect(now).toHaveLength(1);
    expect(now).not.toContain(first);
  });

  it("each time it tries makes the page fail, and the next document is converted", async () => {
    await using converter = converterWith();
    await using document = await open(converter, pdf([heavy(1)]));
    let failed = false;
    const refusal = convertAll(document).catch((error: unknown) => {
      failed = true;
      return error;
    });
    await until(async () => {
      for (const pid of await workersOf()) process.kill(pid, "SIGKILL");
      return failed;
    });
    expect(await refusal).toMatchObject({
      code: "conversion-crashed",
      message: expect.stringContaining("SIGKILL"),
    });
    await using good = await open(converter, stamps(1));
    expect(await convertAll(good)).toHaveLength(1);
  });
});

describe("a caller that gives up", () => {
  it("stops the work by its signal", async () => {
    await using converter = converterWith();
    await using document = await open(converter, endless());
    const abort = new AbortController();
    const pages = convertAll(document, abort.signal);
    pages.catch(() => {});
    await until(aPageIsBegun);
    abort.abort();
    await expect(pages).rejects.toMatchObject({ code: "canceled" });
    expect(await aPageIsBegun()).toBe(false);
    if (hasProc) expect(await workersOf()).toEqual([]);
    await using good = await open(converter, stamps(1));
    expect(await convertAll(good)).toHaveLength(1);
  });

  it("by closing the converter ends all that is under way", async () => {
    const converter = converterWith();
    await using document = await open(converter, endless());
    const pages = convertAll(document);
    pages.catch(() => {});
    await until(aPageIsBegun);
    await converter[Symbol.asyncDispose]();
    await expect(pages).rejects.toMatchObject({ code: "canceled" });
    if (hasProc) expect(await workersOf()).toEqual([]);
    await expect(open(converter, stamps(1))).rejects.toMatchObject({ code: "canceled" });
  });

  it("before it begins is told so", async () => {
    await using document = await open(shared, stamps(1));
    await expect(convertAll(document, AbortSignal.abort())).rejects.toMatchObject({ code: "canceled" });
  });

  it("by leaving the loop stops the work that was done ahead", async () => {
    await using document = await open(shared, stamps(9));
    for await (const page of document.convert(numbersOf(document), never)) {
      await rm(page.path);
      break;
    }
    expect(await aPageIsBegun()).toBe(false);
  });
});

describe("documents at once", () => {
  it("may be the same file: closing one does not disturb the other", async () => {
    const document = pdf([heavy(1)]);
    await using kept = await open(shared, document, "same");
    const other = await open(shared, document, "same");
    const pages = convertAll(kept);
    await until(aPageIsBegun);
    await other[Symbol.asyncDispose]();
    expect(await pages).toHaveLength(1);
  });

  it("take turns: a short one does not wait for a long one", async () => {
    await using long = await open(shared, stamps(20));
    const order: string[] = [];
    let short: Promise<void> | undefined;
    const printShort = async (): Promise<void> => {
      await using document = await open(shared, stamps(1));
      await convertAll(document);
      order.push("short");
    };
    for await (const page of long.convert(numbersOf(long), never)) {
      order.push(`long ${page.pageNumber}`);
      short ??= printShort();
    }
    await short;
    expect(order).toHaveLength(21);
    expect(order.indexOf("short")).toBeLessThan(12);
  });

  it.skipIf(!hasProc)("share workers that stay for the next document", async () => {
    const seen = new Set<number>();
    for (let i = 0; i < 3; i++) {
      await using document = await open(shared, stamps(2));
      await convertAll(document);
      for (const pid of await workersOf()) seen.add(pid);
    }
    expect(seen.size).toBe(1);
  });
});

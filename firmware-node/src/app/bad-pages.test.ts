/** Bad pages, printed to PNG files: what was good before is kept, nothing of the bad page is, and the next job is as ever. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type Band, BandContent, BandEncoding, BandSchema, JobState, type PrintStatus } from "@platen/proto";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PngSink } from "../adapters/png-sink.ts";
import { bodyOf, makePage, type TestPage } from "../testing/pages.ts";
import { sendBody } from "../testing/result-server.ts";
import { type Rig, startRig } from "../testing/rig.ts";

const [widthPx, rowsPx] = [61, 8];

let root: string;
let rig: Rig;
let pages: TestPage[];
/** What page 2 is in the next job; the good one when undefined. */
let bad: Uint8Array | undefined;
let good: Readonly<Record<string, string>>;
let jobs = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "platen-bad-pages-"));
  pages = await Promise.all([1, 2].map((seed) => makePage(seed, widthPx, rowsPx)));
  rig = await startRig({
    pages,
    driver: new PngSink(root, {
      makeAndModel: "PNG",
      colorants: ["cyan", "magenta", "yellow", "black"],
      resolutionsDpi: [300],
      duplex: true,
    }),
    intercept: (request, response) => {
      if (request.url !== "/pages/2" || !bad) return false;
      sendBody(request, response, bad);
      return true;
    },
  });
  good = (await print()).files;
});
afterAll(async () => {
  await rig?.[Symbol.asyncDispose]();
  if (root) await rm(root, { recursive: true });
});

/** Prints both pages. Resolves to how it ended, and to the files that are left of it, in base64. */
async function print(): Promise<{ end: PrintStatus; files: Record<string, string> }> {
  const statuses = await rig.print(rig.instruction({ jobId: `job-${++jobs}` }));
  const end = statuses.at(-1)!;
  const files: Record<string, string> = {};
  for (const name of await readdir(end.outputLocation)) {
    // How many are stacked, for a controller that restarts.
    if (name === ".sheets-stacked") continue;
    files[name] = await readFile(join(end.outputLocation, name), "base64");
  }
  return { end, files };
}

const raw = (channels: 1 | 3) =>
  sharp(
    Uint8Array.from({ length: widthPx * rowsPx * channels }, (_, i) => (i * 29) % 256),
    { raw: { width: widthPx, height: rowsPx, channels } },
  );
const jpeg = (options: object = {}): Promise<Buffer> =>
  raw(3)
    .jpeg({ quality: 92, ...options })
    .toBuffer();

/** A JPEG whose frame header (ITU-T T.81, B.2.2) has other bytes from there on. */
async function jpegWith(at: number, ...bytes: number[]): Promise<Buffer> {
  const data = await jpeg();
  data.set(bytes, data.indexOf(Uint8Array.of(0xff, 0xc0)) + at);
  return data;
}

/** Page 2 with other data in its colour band. */
const withData =
  (data: () => Promise<Uint8Array>, encoding: BandEncoding = BandEncoding.JPEG) =>
  async ([blank, grey, color]: readonly Band[]): Promise<Band[]> => [
    blank!,
    grey!,
    create(BandSchema, { ...color!, encoding, data: await data() }),
  ];

const blankAt = (yPx: number): Band => create(BandSchema, { yPx, rowsPx, content: BandContent.BLANK });

test.each<[string, (bands: readonly Band[]) => Band[] | Promise<Band[]>, RegExp]>([
  [
    "a PNG of 16 bits",
    withData(() => raw(3).toColourspace("rgb16").png().toBuffer(), BandEncoding.PNG),
    /8 bits/,
  ],
  [
    "a JPEG in CMYK",
    withData(() => raw(3).toColourspace("cmyk").jpeg().toBuffer()),
    /channels|cmyk|components/,
  ],
  ["a progressive JPEG", withData(() => jpeg({ progressive: true })), /progressive|baseline/],
  ["an arithmetic JPEG", withData(() => jpegWith(1, 0xc9)), /baseline/],
  ["a JPEG of 65535 pixels a line", withData(() => jpegWith(7, 0xff, 0xff)), /65535/],
  ["a JPEG of 65535 lines", withData(() => jpegWith(5, 0xff, 0xff)), /65535/],
  ["a JPEG that ends early", withData(async () => (await jpeg()).subarray(0, -60)), /damaged|cannot be read/],
  ["no image at all", withData(async () => new Uint8Array(100)), /not what their encoding says/],
  ["bands in the wrong order", ([blank, grey, color]) => [blank!, color!, grey!], /row 8 was due/],
  ["a band that is missing", ([blank, , color]) => [blank!, color!], /row 8 was due/],
  ["a last band that is missing", ([blank, grey]) => [blank!, grey!], /ends at row 16 of 24/],
  ["a band beyond the page", (bands) => [...bands, blankAt(rowsPx * 3)], /do not fit/],
])(
  "%s in page 2: the job ends with the reason, sheet 1 is kept, and the next job prints",
  async (_, change, reason) => {
    bad = bodyOf(await change(pages[1]!.bands));
    const { end, files } = await print();
    bad = undefined;
    expect(end).toMatchObject({
      state: JobState.ABORTED,
      errorCode: "page-invalid",
      mediaSheetsCompleted: 1,
    });
    expect(end.message).toMatch(reason);
    const firstSheet = Object.entries(good).filter(([name]) => name.startsWith("sheet-0001"));
    expect(firstSheet.length).toBeGreaterThan(0);
    expect(files).toEqual(Object.fromEntries(firstSheet));

    const next = await print();
    expect(next.end).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 2 });
    expect(next.files).toEqual(good);
  },
);

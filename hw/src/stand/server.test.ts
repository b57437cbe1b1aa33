/** The stand's page over real HTTP, before an engine on a real pseudo-terminal that a host prints on. */
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { digestBands, type Message, ownVersions, type PlainBand } from "../../protocol/index.ts";
import { realClock } from "../link/clock.ts";
import { instantMechanics } from "../link/engine-device.ts";
import { HostLink } from "../link/host-link.ts";
import { ptyLine } from "../link/line.ts";
import { serialLine } from "../link/serial-line.ts";
import { serveStand, type StandServer } from "./server.ts";
import { EngineStand } from "./stand.ts";
import type { StandView } from "./view.ts";

const jobName = `<img src=x onerror="alert(1)"> \u202Egnp.exe`;
const [widthPx, heightPx, rowsPx] = [1300, 64, 32];
const strideBytes = Math.ceil(widthPx / 8);

let made: AsyncDisposableStack;
let stand: EngineStand;
let link: HostLink;
let server: StandServer;

beforeEach(async () => {
  made = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "platen-stand-"));
  made.defer(() => rm(folder, { recursive: true }));
  const path = join(folder, "port");
  const line = made.use(await ptyLine(path));
  const model = { paperSheets: 5, inkDots: 1e6 };
  stand = made.use(new EngineStand(line, { model, mechanics: instantMechanics }));
  server = made.use(await serveStand(stand, 0));
  const port = made.use(await serialLine(path, 3_000_000));
  link = new HostLink(
    { ...ownVersions, bootId: 1, firstSession: 1, payloadBytes: 512, bytesUnderWay: 8192 },
    realClock,
    (bytes) => port.write(bytes),
  );
  made.defer(() => link.stop());
  port.onBytes((bytes) => link.receive(bytes));
  link.opened();
  await link.until(() => link.isUp || undefined);
});
afterEach(() => made.disposeAsync());

const get = (path: string): Promise<Response> => fetch(new URL(path, server.url));
const act = (body: unknown): Promise<Response> =>
  fetch(new URL("actions", server.url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

/** Reads events until one is so. */
async function viewWhere(isSo: (view: StandView) => boolean): Promise<StandView> {
  const response = await get("events");
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  let text = "";
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    text += part;
    const events = text.split("\n\n");
    text = events.pop()!;
    for (const event of events) {
      const view = JSON.parse(event.slice("data: ".length)) as StandView;
      if (isSo(view)) return view;
    }
  }
  throw new Error("the events ended");
}

/** Cyan above, yellow and cyan on top of each other below, in the left half. */
function sendPage(strips: number): void {
  const half = new Uint8Array(strideBytes * rowsPx);
  for (let y = 0; y < rowsPx; y++) half.fill(0xff, y * strideBytes, y * strideBytes + strideBytes / 2);
  const bands: PlainBand[] = [
    { colorant: "cyan", yPx: 0, rowsPx, bits: half },
    { colorant: "cyan", yPx: rowsPx, rowsPx, bits: half },
    { colorant: "yellow", yPx: rowsPx, rowsPx, bits: half },
  ];
  const page: Message = {
    kind: "page",
    sheet: 1,
    side: "front",
    lastOfSheet: true,
    widthPx,
    heightPx,
    resolutionDpi: 600,
    colorants: ["cyan", "yellow"],
    mediaWidthUm: 210_000,
    mediaHeightUm: 297_000,
    media: "iso_a4_210x297mm",
  };
  const sent = bands.slice(0, strips);
  const messages: Message[] = [
    { kind: "job", jobKey: "00000000000000aa", sheetsStacked: 0, name: jobName },
    page,
    ...sent.flatMap(({ bits, colorant, yPx }): Message[] => [
      {
        kind: "band",
        codec: "raw",
        colorant,
        yPx,
        rowsPx,
        encodedBytes: bits.length,
        bytes: bits.subarray(0, 400),
      },
      ...Array.from(
        { length: Math.ceil((bits.length - 400) / 400) },
        (_, i): Message => ({
          kind: "data",
          bytes: bits.subarray(400 + i * 400, 800 + i * 400),
        }),
      ),
    ]),
    ...(strips === bands.length ? [{ kind: "page-end", digest: digestBands(0, bands) } as const] : []),
  ];
  for (const message of messages) link.send(message);
}

/** Width, height and pixels of a PNG that this stand writes: rows without filter, one IDAT. */
async function pngOf(path: string): Promise<{ width: number; height: number; rows: Buffer; type: number }> {
  const response = await get(path);
  expect(response.headers.get("content-type")).toBe("image/png");
  const bytes = Buffer.from(await response.arrayBuffer());
  const at = bytes.indexOf("IDAT");
  const data = bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at - 4));
  return {
    width: bytes.readUInt32BE(16),
    height: bytes.readUInt32BE(20),
    type: bytes[25]!,
    rows: inflateSync(data),
  };
}

describe("the page of a test stand", () => {
  test("shows a sheet as it prints: first the part that is there, then all of it, in the colours of the inks", async () => {
    sendPage(2);
    // The rows above a strip are final when it begins.
    const half = await viewWhere(({ sheets }) => sheets.at(-1)?.sides[0]?.rowsPrinted === rowsPx);
    expect(half).toMatchObject({ state: "processing", sheets: [{ id: 1, stacked: false, sheetNumber: 1 }] });
    link.abort();
    await viewWhere(({ sheets, counts }) => sheets.length === 0 && counts.wasted === 1);
    await link.until(() => link.isUp || undefined);

    sendPage(3);
    const whole = await viewWhere(({ counts }) => counts.stacked === 1);
    expect(whole.sheets).toMatchObject([{ id: 1, stacked: true }]);
    expect(whole.inks.find(({ ink }) => ink === "cyan")!.percent).toBeLessThan(100);
    expect(whole.link).toMatchObject({ hostIsThere: true, version: 1, damagedFrames: 0, bufferedBytes: 0 });

    const factor = whole.sheets[0]!.sides[0]!.previewFactor;
    const { width, height, rows } = await pngOf(`sheets/1/front/preview.png?from=0&rows=${heightPx}`);
    expect([width, height]).toEqual([Math.ceil(widthPx / factor), heightPx / factor]);
    const pixel = (x: number, y: number): number[] => [
      ...rows.subarray(y * (3 * width + 1) + 1 + 3 * x).subarray(0, 3),
    ];
    const [cyan, green, white] = [pixel(2, 0), pixel(2, height - 1), pixel(width - 2, 0)];
    expect(cyan[2]).toBeGreaterThan(cyan[0]! + 100);
    expect(green[1]).toBeGreaterThan(green[2]! + 50);
    expect(white).toEqual([255, 255, 255]);
  });

  test("gives every dot of a part of a sheet", async () => {
    sendPage(3);
    await viewWhere(({ counts }) => counts.stacked === 1);
    const edge = (strideBytes >> 1) * 8;
    const { width, height, rows, type } = await pngOf(
      `sheets/1/front/dots.png?x=${edge - 4}&y=30&width=8&height=4`,
    );
    expect([width, height, type]).toEqual([8, 4, 3]);
    // Bit 0 is cyan, bit 2 yellow.
    const half = (mixture: number): number[] => [0, mixture, mixture, mixture, mixture, 0, 0, 0, 0];
    expect([...rows]).toEqual([...half(1), ...half(1), ...half(5), ...half(5)]);
    const corner = await pngOf(
      `sheets/1/front/dots.png?x=${widthPx - 3}&y=${heightPx - 2}&width=50&height=50`,
    );
    expect([corner.width, corner.height]).toEqual([3, 2]);
  });

  test("tells a job from none", async () => {
    expect(await viewWhere(() => true)).toMatchObject({ jobKey: "", sheetsStacked: 0 });
    sendPage(2);
    await viewWhere(({ jobKey }) => jobKey === "00000000000000aa");
  });

  test("has buttons for trouble and power that the host hears of", async () => {
    expect((await act({ action: "fail", trouble: "cover-open" })).status).toBe(204);
    await link.until(() => link.status?.reasons.includes("cover-open") || undefined);
    expect(await viewWhere(({ state }) => state === "stopped")).toMatchObject({
      troubles: ["cover-open"],
      message: "Close the cover.",
    });
    await act({ action: "remedy", trouble: "cover-open" });
    await link.until(() => link.status?.state === "idle" || undefined);

    await act({ action: "ink", ink: "black", percent: 5 });
    await act({ action: "cancel" });
    await link.until(() => link.status?.cancelPresses === 1 || undefined);
    expect((await viewWhere(() => true)).inks.at(-1)).toEqual({ ink: "black", percent: 5 });

    await act({ action: "power-off" });
    await viewWhere(({ isOn, state }) => !isOn && state === "off");
    const restarted = link.until(() => link.status?.cancelPresses === 0 || undefined);
    await act({ action: "power-on" });
    await restarted;
  });

  test("makes the line bad, and says what it did", async () => {
    await act({ action: "line", bitErrorRate: 2e-4 });
    sendPage(3);
    const view = await viewWhere(({ counts }) => counts.stacked === 1);
    expect(view.line.faults).toEqual({ bitErrorRate: 2e-4 });
    expect(view.line.forth.flippedBits).toBeGreaterThan(0);
    expect(view.link!.damagedFrames).toBeGreaterThan(0);
  });

  test("what a job calls itself stays text", async () => {
    sendPage(3);
    const { sheets, link: stats } = await viewWhere(({ counts }) => counts.stacked === 1);
    // Format characters went on the way; the rest is shown by textContent alone.
    expect(sheets[0]!.jobName).toBe('<img src=x onerror="alert(1)"> \uFFFDgnp.exe');
    expect(stats!.jobName).toBe(sheets[0]!.jobName);
    const script = await (await get("page.js")).text();
    expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/);
    for (const path of ["", "page.js", "style.css", "icon.svg"]) {
      const { status, headers } = await get(path);
      expect(status).toBe(200);
      expect(headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  test.each([
    ["sheets/1/front/preview.png?from=0&rows=1", 404],
    ["sheets/99999999999999999999/front/preview.png", 404],
    ["../../package.json", 404],
    ["..%2f..%2fpackage.json", 404],
    ["actions", 404],
  ])("refuses %s", async (path, status) => {
    expect((await get(path)).status).toBe(status);
  });

  test("refuses areas that are none", async () => {
    sendPage(3);
    await viewWhere(({ counts }) => counts.stacked === 1);
    const areas = [
      "",
      "x=-1&y=0&width=1&height=1",
      "x=1e9&y=0&width=1&height=1",
      "x=0&y=0&width=9999&height=1",
    ];
    for (const area of areas) expect((await get(`sheets/1/front/dots.png?${area}`)).status).toBe(400);
    expect((await get("sheets/1/back/dots.png?x=0&y=0&width=1&height=1")).status).toBe(404);
  });

  test.each([
    "{",
    "null",
    "[]",
    { action: "explode" },
    { action: "constructor" },
    { action: "fail", trouble: "fire" },
    { action: "ink", ink: "black", percent: 101 },
    { action: "cut", ms: "1000" },
    { action: "line", bitErrorRate: -1 },
  ])("refuses the action %j", async (action) => {
    expect((await act(action)).status).toBe(400);
    expect(stand.model.troubles).toEqual([]);
  });

  test("does nothing for pages from elsewhere", async () => {
    const body = JSON.stringify({ action: "fail", trouble: "media-jam" });
    // A form of another page can post this without asking.
    const simple = await fetch(new URL("actions", server.url), { method: "POST", body });
    expect(simple.status).toBe(415);
    expect(await statusWithHost("attacker.example")).toBe(403);
    expect(stand.model.troubles).toEqual([]);
  });
});

/** A page whose name was made to point to this machine. */
const statusWithHost = (host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const asked = request(server.url, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    asked.on("error", reject).end();
  });

import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import { expect, test } from "vitest";
import { HttpFetch } from "../adapters/http-fetch.ts";
import { download, type FetchFrom, sweepDownloads } from "./download.ts";
import { tempFolder } from "./testing/bundles.ts";

const bytes = randomBytes(300_000);
const sha256 = createHash("sha256").update(bytes).digest("hex");
const wanted = { sha256, sizeBytes: bytes.length };
const { signal } = new AbortController();

/** A server that breaks each connection after so many bytes. Tells where each request began. */
async function brittleServer(bytesEach: number, ranges = true) {
  const starts: number[] = [];
  const server = createServer((request, response) => {
    const asked = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const start = ranges ? asked : 0;
    starts.push(asked);
    response.writeHead(start > 0 ? 206 : 200, {
      "content-length": bytes.length - start,
      ...(start > 0 && { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    });
    const part = bytes.subarray(start, start + bytesEach);
    response.write(part, () => {
      if (start + bytesEach >= bytes.length) response.end();
      else response.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const fetch = new HttpFetch({ tls: {}, allowPlaintext: false });
  const from: FetchFrom = (startByte, fetchSignal) => fetch.getFrom(url, {}, startByte, fetchSignal);
  return {
    starts,
    from,
    [Symbol.dispose]: () => {
      fetch[Symbol.dispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}

test("a download goes on where the line broke", async () => {
  await using folder = await tempFolder();
  using server = await brittleServer(120_000);
  const file = await download(folder.path, wanted, server.from, () => {}, signal);
  expect((await readFile(file)).equals(bytes)).toBe(true);
  expect(server.starts[0]).toBe(0);
  expect(server.starts.at(-1)).toBeGreaterThan(0);
  expect(server.starts.slice(1).every((start, i) => start >= server.starts[i]!)).toBe(true);
  expect(await readdir(folder.path)).toEqual([`${sha256}.bundle`]);
});

test("a download goes on after a power cut with what had come", async () => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, `${sha256}.part`), bytes.subarray(0, 250_000));
  using server = await brittleServer(300_000);
  await download(folder.path, wanted, server.from, () => {}, signal);
  expect(server.starts).toEqual([250_000]);
});

test("a download begins again where the server knows no ranges", async () => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, `${sha256}.part`), bytes.subarray(0, 1000));
  using server = await brittleServer(300_000, false);
  const file = await download(folder.path, wanted, server.from, () => {}, signal);
  expect((await readFile(file)).equals(bytes)).toBe(true);
});

const once =
  (chunk: Uint8Array): FetchFrom =>
  async (startByte) => ({
    startByte,
    bytes: (async function* () {
      yield chunk;
    })(),
  });

test("other bytes than were offered are refused, and do not stay", async () => {
  await using folder = await tempFolder();
  const other = Buffer.from(bytes);
  other[5]! ^= 1;
  await expect(download(folder.path, wanted, once(other), () => {}, signal)).rejects.toThrow("damaged");
  expect(await readdir(folder.path)).toEqual([]);
});

test("a bundle that has rotted where it lay is fetched again", async () => {
  await using folder = await tempFolder();
  const rotten = Buffer.from(bytes);
  rotten[7]! ^= 1;
  await writeFile(join(folder.path, `${sha256}.bundle`), rotten);
  const file = await download(folder.path, wanted, once(bytes), () => {}, signal);
  expect((await readFile(file)).equals(bytes)).toBe(true);
});

test("more bytes than were offered are refused before they fill the disk", async () => {
  await using folder = await tempFolder();
  const more = once(Buffer.concat([bytes, bytes]));
  await expect(download(folder.path, wanted, more, () => {}, signal)).rejects.toThrow("more bytes");
  expect(await readdir(folder.path)).toEqual([]);
});

test("what the server refuses is not asked for again", async () => {
  await using folder = await tempFolder();
  let asked = 0;
  const refuse: FetchFrom = () => {
    asked++;
    return Promise.reject(new PlatenError("update-unknown", "there is no such bundle"));
  };
  await expect(download(folder.path, wanted, refuse, () => {}, signal)).rejects.toThrow("no such bundle");
  expect(asked).toBe(1);
});

test.each([
  ["ends well, with nothing", async function* (): AsyncGenerator<Uint8Array> {}, "ends before the bundle"],
  [
    "breaks",
    async function* (): AsyncGenerator<Uint8Array> {
      throw new PlatenError("unavailable", "the line broke");
    },
    "the line broke",
  ],
])("a server whose answer %s, again and again, is left for later", async (_, answer, why) => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, `${sha256}.part`), bytes.subarray(0, 1000));
  const starts: number[] = [];
  const from: FetchFrom = async (startByte) => {
    starts.push(startByte);
    if (starts.length > 5) throw new Error("asked for ever");
    return { startByte, bytes: answer() };
  };
  const downloading = download(folder.path, wanted, from, () => {}, signal);
  await expect(downloading).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining(why),
  });
  expect(starts).toEqual(Array.from({ length: 5 }, () => 1000));
});

test("an attempt that brings something begins the count anew", async () => {
  await using folder = await tempFolder();
  let asked = 0;
  const from: FetchFrom = async (startByte) => {
    const length = [0, 0, 0, 0, 100_000, 0, bytes.length][asked++]!;
    const part = async function* () {
      yield bytes.subarray(startByte, startByte + length);
      if (length < bytes.length) throw new PlatenError("unavailable", "the line broke");
    };
    return { startByte, bytes: part() };
  };
  await download(folder.path, wanted, from, () => {}, signal);
  expect(asked).toBe(7);
});

test("downloads that nobody wants any more are removed", async () => {
  await using folder = await tempFolder();
  for (const name of ["aa.part", "aa.bundle", "bb.part"]) await writeFile(join(folder.path, name), "");
  await sweepDownloads(folder.path, new Set(["bb"]));
  expect(await readdir(folder.path)).toEqual(["bb.part"]);
});

test("a line that stands still, before the answer or after it, is given up for another", async () => {
  await using folder = await tempFolder();
  const starts: number[] = [];
  const never = (fetchSignal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      fetchSignal.addEventListener("abort", () => reject(fetchSignal.reason as Error));
    });
  const from: FetchFrom = async (startByte, fetchSignal) => {
    starts.push(startByte);
    if (starts.length === 1) return never(fetchSignal);
    const stalling = async function* () {
      yield bytes.subarray(startByte, startByte + 200_000);
      if (startByte === 0) await never(fetchSignal);
    };
    return { startByte, bytes: stalling() };
  };
  const file = await download(folder.path, wanted, from, () => {}, signal, 20);
  expect((await readFile(file)).equals(bytes)).toBe(true);
  expect(starts).toEqual([0, 0, 200_000]);
});

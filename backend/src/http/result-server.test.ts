/** What of the result store is HTTP's: ranges and entity tags. Who may read what is told by the executor's tests. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ResultStore } from "../app/result-store.ts";
import { openSessionStores, pageBlobKey, pageKey, type SessionStores } from "../app/session-stores.ts";
import { dbIndexOf, newIdentificationId, newJobId, parsePrinterId } from "../domain/ids.ts";
import { issueToken } from "../domain/session.ts";
import { openTestStorage, type TestStorage } from "../testing/test-storage.ts";
import { type ResultServer, serveResults } from "./result-server.ts";

const content = Buffer.from("the bands of a page");
const other = Buffer.from("the bands of anothe");
const size = content.length;

let opened: TestStorage;
let stores: SessionStores;
let server: ResultServer;
let url: string;
let authorization: string;

const put = async (bytes: Uint8Array): Promise<void> => {
  // oxlint-disable-next-line require-await -- a stream of one
  const once = async function* () {
    yield bytes;
  };
  await stores.converted.put(pageBlobKey(location, 1), once());
};
const location = newIdentificationId();

beforeAll(async () => {
  opened = await openTestStorage("embedded");
  stores = await openSessionStores(opened.storage, 3_600_000);
  const session = { jobId: newJobId(Date.now()), printerId: parsePrinterId("office") };
  const dbIndex = dbIndexOf(session);
  const { token, record } = issueToken(undefined, Date.now(), 3_600_000);
  await stores.tokens.put(dbIndex, record);
  const result = { dbIndex, ...session, location, metafileUrl: "", impressions: 1, createdMs: Date.now() };
  await stores.results.put(location, result);
  await stores.pages.put(pageKey(location, 1), {
    sizeBytes: size,
    blankBands: 0,
    greyBands: 1,
    colorBands: 0,
  });
  server = await serveResults(new ResultStore(stores, Date.now), {
    listen: "127.0.0.1:0",
    tls: {},
    bundles: () => Promise.reject(new Error("no bundles here")),
    log: (error) => expect.fail(error.message),
  });
  url = `${server.url}/v1/results/${location}/pages/1`;
  authorization = `Bearer ${token}`;
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await opened?.[Symbol.asyncDispose]();
});
beforeEach(() => put(content));

async function ask(headers: Record<string, string> = {}, method = "GET") {
  const response = await fetch(url, { method, headers: { authorization, ...headers } });
  return {
    status: response.status,
    range: response.headers.get("content-range"),
    length: Number(response.headers.get("content-length")),
    etag: response.headers.get("etag")!,
    body: await response.text(),
  };
}

test("a page has a strong entity tag: the same for the same bytes, another for others", async () => {
  const first = await ask();
  expect(first).toMatchObject({ status: 200, range: null, length: size, body: content.toString() });
  expect(first.etag).toMatch(/^"[\x21\x23-\x7e]+"$/);
  expect((await ask()).etag).toBe(first.etag);
  await put(other);
  expect((await ask()).etag).not.toBe(first.etag);
});

test("a part comes from the byte asked for on, with the tag of the whole", async () => {
  const { etag } = await ask();
  for (const start of [1, size - 1]) {
    expect(await ask({ range: `bytes=${start}-` })).toEqual({
      status: 206,
      range: `bytes ${start}-${size - 1}/${size}`,
      length: size - start,
      etag,
      body: content.subarray(start).toString(),
    });
  }
});

test("a byte behind the last one is refused with how many there are (416)", async () => {
  const { etag } = await ask();
  for (const start of [size, size + 1]) {
    const answer = await ask({ range: `bytes=${start}-` });
    expect(answer).toMatchObject({ status: 416, range: `bytes */${size}`, etag });
    expect(JSON.parse(answer.body)).toMatchObject({ code: "invalid-argument" });
  }
});

test("other ranges are ignored, and so is any in HEAD", async () => {
  for (const range of ["bytes=0-", "bytes=2-3", "bytes=-5", "bytes=1-,5-", "lines=1-"])
    expect(await ask({ range })).toMatchObject({ status: 200, body: content.toString() });
  const head = await ask({ range: "bytes=3-" }, "HEAD");
  expect(head).toMatchObject({ status: 200, range: null, length: size, body: "" });
  expect(head.etag).toBe((await ask()).etag);
});

test("If-Range: a part of what it names, all of anything else", async () => {
  const { etag } = await ask();
  const part = (ifRange: string) => ask({ range: "bytes=4-", "if-range": ifRange });
  expect(await part(etag)).toMatchObject({ status: 206, body: content.subarray(4).toString() });
  // A weak tag is never good enough for parts, and neither is a date of a server that gives none.
  for (const ifRange of [`W/${etag}`, '"another"', new Date().toUTCString()])
    expect(await part(ifRange)).toMatchObject({ status: 200, body: content.toString() });
  await put(other);
  expect(await part(etag)).toMatchObject({ status: 200, body: other.toString() });
});

import { describe, expect, test } from "vitest";
import { makeCertificate } from "../testing/certificates.ts";
import { bodyOf, makePage } from "../testing/pages.ts";
import {
  rangeStart,
  type ResultServerOptions,
  startResultServer,
  testToken,
} from "../testing/result-server.ts";
import { HttpFetch, type HttpFetchOptions } from "./http-fetch.ts";

const { signal } = new AbortController();

async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}

async function open(server: Partial<ResultServerOptions> = {}, options: Partial<HttpFetchOptions> = {}) {
  await using made = new AsyncDisposableStack();
  const pages = [await makePage(1)];
  const results = made.use(await startResultServer({ pages, ...server }));
  const store = made.use(new HttpFetch({ tls: {}, allowPlaintext: false, ...options }));
  const resources = made.move();
  return {
    store,
    body: bodyOf(pages[0]!.bands),
    url: new URL("/pages/1", results.metafileUrl("job-1")),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

test("fetches with the token, and passes on the body", async () => {
  await using opened = await open();
  const { store, url, body } = opened;
  const content = await store.get(url, testToken, 0, signal);
  expect(content).toMatchObject({ startByte: 0, totalBytes: body.length, etag: "" });
  expect(await read(content.bytes)).toEqual(Buffer.from(body));
});

test("fetches from a byte on", async () => {
  await using opened = await open();
  const { store, url, body } = opened;
  const content = await store.get(url, testToken, 7, signal);
  expect(content).toMatchObject({ startByte: 7, totalBytes: body.length });
  expect(await read(content.bytes)).toEqual(Buffer.from(body.subarray(7)));
});

test("takes the whole from a server that knows no ranges, and what it says of itself", async () => {
  const intercept: ResultServerOptions["intercept"] = (_, response) => {
    response.writeHead(200, { etag: '"v1"' });
    response.write("who");
    response.end("le");
    return true;
  };
  await using opened = await open({ intercept });
  const { store, url } = opened;
  const content = await store.get(url, testToken, 3, signal);
  expect(content).toMatchObject({ startByte: 0, totalBytes: undefined, etag: '"v1"' });
  expect((await read(content.bytes)).toString()).toBe("whole");
});

test("a byte behind the last one is the end of it: the connection broke just there", async () => {
  const intercept: ResultServerOptions["intercept"] = (_, response) => {
    response.writeHead(416, { "content-range": "bytes */5", etag: '"v1"' }).end("no such byte");
    return true;
  };
  await using opened = await open({ intercept });
  const { store, url } = opened;
  const content = await store.get(url, testToken, 5, signal);
  expect(content).toMatchObject({ startByte: 5, totalBytes: 5, etag: '"v1"' });
  expect(await read(content.bytes)).toHaveLength(0);
});

test.each([{ "content-range": "bytes */4" }, {}])(
  "one that lies further behind, or nobody says where, brings the whole: %o",
  async (headers) => {
    const starts: number[] = [];
    const intercept: ResultServerOptions["intercept"] = (request, response) => {
      starts.push(rangeStart(request));
      if (rangeStart(request) > 0) response.writeHead(416, headers).end();
      else response.end("less");
      return true;
    };
    await using opened = await open({ intercept });
    const { store, url } = opened;
    const content = await store.get(url, testToken, 5, signal);
    expect(content.startByte).toBe(0);
    expect((await read(content.bytes)).toString()).toBe("less");
    expect(starts).toEqual([5, 0]);
  },
);

test("refuses a part that begins elsewhere than asked", async () => {
  const intercept: ResultServerOptions["intercept"] = (request, response) => {
    const start = rangeStart(request) + 1;
    response.writeHead(206, { "content-range": `bytes ${start}-99/100` }).end("x");
    return true;
  };
  await using opened = await open({ intercept });
  const { store, url } = opened;
  await expect(store.get(url, testToken, 3, signal)).rejects.toMatchObject({ code: "internal" });
});

test("a refusal comes with the server's code and sentence", async () => {
  await using opened = await open();
  const { store, url } = opened;
  await expect(store.get(url, "wrong", 0, signal)).rejects.toMatchObject({
    code: "identification-unknown",
    message: "bad identification id",
  });
});

test("an abort ends the wait for an answer and the reading of one, and nothing is thrown beside", async () => {
  const held = Promise.withResolvers<void>();
  const intercept: ResultServerOptions["intercept"] = ({ url }, response) => {
    if (url === "/begun") response.write("begun");
    held.resolve();
    return true;
  };
  await using opened = await open({ intercept });
  const { store, url } = opened;
  const reason = new Error("enough");
  const waiting = new AbortController();
  const answer = store.get(url, testToken, 0, waiting.signal);
  await held.promise;
  waiting.abort(reason);
  await expect(answer).rejects.toBe(reason);
  await expect(store.get(url, testToken, 0, waiting.signal)).rejects.toBe(reason);

  const reading = new AbortController();
  const { bytes } = await store.get(new URL("/begun", url), testToken, 0, reading.signal);
  const rest = read(bytes);
  reading.abort(reason);
  await expect(rest).rejects.toMatchObject({ code: "unavailable" });
  // A body that has come as a whole and is not read: its connection is nobody's any more.
  const unread = new AbortController();
  await store.get(new URL("/begun", url), testToken, 0, unread.signal);
  unread.abort(reason);
});

describe("TLS", () => {
  test("a server whose authority is known is read", async () => {
    const tls = await makeCertificate();
    await using opened = await open({ tls }, { tls: { ca: tls.cert } });
    const { store, url, body } = opened;
    expect(url.protocol).toBe("https:");
    expect(await read((await store.get(url, testToken, 0, signal)).bytes)).toEqual(Buffer.from(body));
  });

  test("a server of another authority is refused for good, and gets no token", async () => {
    const [tls, other] = await Promise.all([makeCertificate(), makeCertificate()]);
    let asked = 0;
    const intercept = () => {
      asked++;
      return false;
    };
    await using opened = await open({ tls, intercept }, { tls: { ca: other.cert } });
    const { store, url } = opened;
    await expect(store.get(url, testToken, 0, signal)).rejects.toMatchObject({ code: "unauthenticated" });
    expect(asked).toBe(0);
  });

  test.each(["http://192.0.2.1/x", "http://[2001:db8::1]:8080/x", "http://127.0.0.1.example/x"])(
    "without it, only this machine is asked: %s",
    async (url) => {
      using store = new HttpFetch({ tls: {}, allowPlaintext: false });
      await expect(store.get(new URL(url), testToken, 0, signal)).rejects.toMatchObject({
        code: "plaintext-refused",
      });
    },
  );
});

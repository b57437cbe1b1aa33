import { getEventListeners, once } from "node:events";
import type { RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { generate } from "selfsigned";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { defaults, get, never, portOf, refusal, TestWeb } from "../testing/web.ts";
import { createHttpDownloader } from "./http-downloader.ts";

let web: TestWeb;
beforeEach(() => {
  web = new TestWeb();
});
afterEach(() => web[Symbol.dispose]());

describe("a download", () => {
  test("yields the document, and what was declared of it", async () => {
    const url = await web.serve((_, response) => response.setHeader("content-length", 5).end("hello"));
    await using download = await createHttpDownloader(defaults).open(url, never);
    expect(download.declaredBytes).toBe(5);
    expect(Buffer.concat(await Array.fromAsync(download.bytes)).toString()).toBe("hello");
  });

  test("of unknown size declares none", async () => {
    const url = await web.serve((_, response) => {
      response.write("hel");
      response.end("lo");
    });
    await using download = await createHttpDownloader(defaults).open(url, never);
    expect(download.declaredBytes).toBeUndefined();
    expect(Buffer.concat(await Array.fromAsync(download.bytes)).toString()).toBe("hello");
  });

  test("may have as many bytes as allowed", async () => {
    const url = await web.serve((_, response) => response.end(Buffer.alloc(defaults.maxBytes)));
    expect(await get(url)).toHaveLength(defaults.maxBytes);
  });

  test.each([301, 302, 303, 307, 308])("follows redirects by %i, relative ones too", async (status) => {
    const url = await web.serve(({ url: path }, response) => {
      const step = Number(path?.slice(1));
      if (step === 5) response.end("there");
      else response.writeHead(status, { location: `${step + 1}` }).end();
    });
    expect((await get(`${url}/0`)).toString()).toBe("there");
  });

  test("sends the credentials of its URI there, and not where it redirects to", async () => {
    const seen: (string | undefined)[] = [];
    const elsewhere = await web.serve(({ headers }, response) => {
      seen.push(headers.authorization);
      response.end("there");
    });
    const url = await web.serve(({ headers }, response) => {
      seen.push(headers.authorization);
      response.writeHead(302, { location: elsewhere }).end();
    });
    await get(url.replace("//", "//user:p%40ss@"));
    expect(seen).toEqual([`Basic ${Buffer.from("user:p@ss").toString("base64")}`, undefined]);
  });

  test.each([
    ["gzip", gzipSync],
    ["x-gzip", gzipSync],
    ["br", brotliCompressSync],
    ["deflate", deflateSync],
    ["identity", Buffer.from],
  ] as const)("undoes the encoding %s", async (encoding, encode) => {
    const url = await web.serve((_, response) => {
      response.setHeader("content-encoding", encoding).end(encode(Buffer.from("packed")));
    });
    expect((await get(url)).toString()).toBe("packed");
  });

  test("waits for a slow reader: only the other side's silence counts", async () => {
    const url = await web.serve((_, response) => response.end(Buffer.alloc(4_000_000)));
    const options = { ...defaults, maxBytes: 4_000_000, idleTimeoutMs: 60 };
    await using download = await createHttpDownloader(options).open(url, never);
    let sizeBytes = 0;
    for await (const chunk of download.bytes) {
      // Longer than the other side may be silent, while more is on its way than the buffers hold.
      if (sizeBytes === 0) await new Promise((resolve) => setTimeout(resolve, 200));
      sizeBytes += chunk.length;
    }
    expect(sizeBytes).toBe(4_000_000);
  });

  test("that is not read holds no connection once it is disposed of", async () => {
    const closed = Promise.withResolvers<void>();
    const url = await web.serve((_, response) => {
      response.on("close", closed.resolve);
      response.write("a beginning");
    });
    const download = await createHttpDownloader(defaults).open(url, never);
    await download[Symbol.asyncDispose]();
    await closed.promise;
  });

  test("holds no connection to where it was redirected from", async () => {
    const closed = Promise.withResolvers<void>();
    const url = await web.serve(({ url: path }, response) => {
      if (path === "/end") return response.end("there");
      response.on("close", closed.resolve);
      response.writeHead(302, { location: "/end" }).write("this answer has no end");
    });
    expect((await get(url)).toString()).toBe("there");
    await closed.promise;
  });

  test("leaves no timer and no listener behind, however it ends", async () => {
    const url = await web.serve(({ url: path }, response) =>
      response.writeHead(path === "/" ? 200 : 404).end(),
    );
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
    const before = timers();
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i++) {
      await get(url, {}, signal);
      await get(`${url}/missing`, {}, signal).catch(() => {});
    }
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(timers() - before).toBeLessThan(20);
  });

  test("that its reader leaves holds no connection", async () => {
    const closed = Promise.withResolvers<void>();
    const url = await web.serve((_, response) => {
      response.on("close", closed.resolve);
      response.write("a beginning");
    });
    const download = await createHttpDownloader(defaults).open(url, never);
    for await (const _ of download.bytes) break;
    await closed.promise;
  });
});

describe("over https", () => {
  let key: string;
  let cert: string;
  beforeAll(async () => {
    ({ cert, private: key } = await generate([{ name: "commonName", value: "localhost" }], {
      keyType: "ec",
      algorithm: "sha256",
      extensions: [{ name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] }],
    }));
  });

  async function serveTls(listener: RequestListener): Promise<number> {
    const server = createSecureServer({ key, cert }, listener).listen(0, "127.0.0.1");
    await once(server, "listening");
    web.defer(() => {
      server.closeAllConnections();
      server.close();
    });
    return portOf(server);
  }

  test("trusts the authority given, and no stranger", async () => {
    const port = await serveTls((_, response) => response.end("hello"));
    const ca = Buffer.from(cert);
    expect((await get(`https://localhost:${port}/`, { ca })).toString()).toBe("hello");
    await expect(get(`https://localhost:${port}/`)).rejects.toEqual(
      refusal("download-failed", /certificate/),
    );
    await expect(get(`https://127.0.0.1:${port}/`, { ca })).rejects.toEqual(
      refusal("download-failed", /127\.0\.0\.1/),
    );
  });

  test("is not left by a redirect", async () => {
    let requests = 0;
    const plain = await web.serve((_, response) => {
      requests++;
      response.end("hello");
    });
    const port = await serveTls((_, response) => response.writeHead(302, { location: plain }).end());
    await expect(get(`https://localhost:${port}/`, { ca: Buffer.from(cert) })).rejects.toEqual(
      refusal("download-refused", /from https to http/),
    );
    expect(requests).toBe(0);
  });
});

describe("a download that its caller gives up", () => {
  test.each(["before it begins", "before the answer", "in the body"])("%s is canceled", async (when) => {
    const abort = new AbortController();
    const url = await web.serve((_, response) => {
      if (when === "in the body") response.write("a beginning");
      if (when === "before the answer") abort.abort();
    });
    if (when === "before it begins") abort.abort();
    const downloader = createHttpDownloader(defaults);
    const read = async () => {
      await using download = await downloader.open(url, abort.signal);
      for await (const _ of download.bytes) abort.abort();
    };
    await expect(read()).rejects.toEqual(refusal("canceled"));
  });
});

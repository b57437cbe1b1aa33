import { getEventListeners, once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import net, { type AddressInfo, type Socket } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { type ErrorCode, PlatenError } from "@platen/proto";
import { generate } from "selfsigned";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { createHttpDownloader, type HttpDownloaderOptions } from "./http-downloader.ts";
import { isPublicAddress } from "./public-address.ts";

const never = new AbortController().signal;
const refusal = (code: ErrorCode, message?: RegExp) =>
  expect.objectContaining({ code, ...(message && { message: expect.stringMatching(message) as string }) });

let resources = new AsyncDisposableStack();
afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

const portOf = (server: net.Server): number => (server.address() as AddressInfo).port;

/** Base URL of a server that answers so. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  resources.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${portOf(server)}`;
}

/** Base URL of a server that says these bytes, whatever it is asked, and then holds the connection. */
async function serveRaw(bytes: string): Promise<string> {
  const sockets: Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.write(bytes);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  resources.defer(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${portOf(server)}`;
}

const defaults = { maxBytes: 10_000, totalTimeoutMs: 20_000, mayConnectTo: () => true };

/** All bytes of a document. */
async function get(
  uri: string,
  options: Partial<HttpDownloaderOptions> = {},
  signal = never,
): Promise<Buffer> {
  await using download = await createHttpDownloader({ ...defaults, ...options }).open(uri, signal);
  return Buffer.concat(await Array.fromAsync(download.bytes));
}

describe("a download", () => {
  test("yields the document, and what was declared of it", async () => {
    const url = await serve((_, response) => response.setHeader("content-length", 5).end("hello"));
    await using download = await createHttpDownloader(defaults).open(url, never);
    expect(download.declaredBytes).toBe(5);
    expect(Buffer.concat(await Array.fromAsync(download.bytes)).toString()).toBe("hello");
  });

  test("of unknown size declares none", async () => {
    const url = await serve((_, response) => {
      response.write("hel");
      response.end("lo");
    });
    await using download = await createHttpDownloader(defaults).open(url, never);
    expect(download.declaredBytes).toBeUndefined();
    expect(Buffer.concat(await Array.fromAsync(download.bytes)).toString()).toBe("hello");
  });

  test("may have as many bytes as allowed", async () => {
    const url = await serve((_, response) => response.end(Buffer.alloc(defaults.maxBytes)));
    expect(await get(url)).toHaveLength(defaults.maxBytes);
  });

  test.each([301, 302, 303, 307, 308])("follows redirects by %i, relative ones too", async (status) => {
    const url = await serve(({ url: path }, response) => {
      const step = Number(path?.slice(1));
      if (step === 5) response.end("there");
      else response.writeHead(status, { location: `${step + 1}` }).end();
    });
    expect((await get(`${url}/0`)).toString()).toBe("there");
  });

  test("sends the credentials of its URI there, and not where it redirects to", async () => {
    const seen: (string | undefined)[] = [];
    const elsewhere = await serve(({ headers }, response) => {
      seen.push(headers.authorization);
      response.end("there");
    });
    const url = await serve(({ headers }, response) => {
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
    const url = await serve((_, response) => {
      response.setHeader("content-encoding", encoding).end(encode(Buffer.from("packed")));
    });
    expect((await get(url)).toString()).toBe("packed");
  });

  test("waits for a slow reader: only the other side's silence counts", async () => {
    const url = await serve((_, response) => response.end(Buffer.alloc(4_000_000)));
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
    const url = await serve((_, response) => {
      response.on("close", closed.resolve);
      response.write("a beginning");
    });
    const download = await createHttpDownloader(defaults).open(url, never);
    await download[Symbol.asyncDispose]();
    await closed.promise;
  });

  test("holds no connection to where it was redirected from", async () => {
    const closed = Promise.withResolvers<void>();
    const url = await serve(({ url: path }, response) => {
      if (path === "/end") return response.end("there");
      response.on("close", closed.resolve);
      response.writeHead(302, { location: "/end" }).write("this answer has no end");
    });
    expect((await get(url)).toString()).toBe("there");
    await closed.promise;
  });

  test("leaves no timer and no listener behind, however it ends", async () => {
    const url = await serve(({ url: path }, response) => response.writeHead(path === "/" ? 200 : 404).end());
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
    const url = await serve((_, response) => {
      response.on("close", closed.resolve);
      response.write("a beginning");
    });
    const download = await createHttpDownloader(defaults).open(url, never);
    for await (const _ of download.bytes) break;
    await closed.promise;
  });
});

describe("S1208: a download fails", () => {
  test.each([
    [404, "404 Not Found"],
    [500, "500 Internal Server Error"],
    [204, "204 No Content"],
    [206, "206 Partial Content"],
    [304, "304 Not Modified"],
    [599, "599"],
  ])("by the answer %i, and says so in the field's own words", async (status, words) => {
    const url = await serve((_, response) => response.writeHead(status, "something else").end());
    await expect(get(`${url}/x?secret=1`)).rejects.toEqual(
      refusal("download-failed", new RegExp(`/x answers ${words}$`)),
    );
  });

  test("by redirects without end", async () => {
    let requests = 0;
    const url = await serve((_, response) => {
      requests++;
      response.writeHead(302, { location: "/again" }).end();
    });
    await expect(get(url)).rejects.toEqual(refusal("download-failed", /redirects more than 5 times/));
    expect(requests).toBe(6);
  });

  test("by a redirect to nowhere", async () => {
    const url = await serve((_, response) => response.writeHead(302).end());
    await expect(get(url)).rejects.toEqual(refusal("download-failed", /without saying where to/));
  });

  test("by a host that refuses connections", async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const port = portOf(server);
    server.close();
    await expect(get(`http://127.0.0.1:${port}`)).rejects.toEqual(refusal("download-failed", /ECONNREFUSED/));
  });

  test("by more bytes than allowed: declared, sent without being declared, or unpacked", async () => {
    const url = await serve(({ url: path }, response) => {
      if (path === "/declared") response.setHeader("content-length", 10_001).flushHeaders();
      else if (path === "/sent") response.end(Buffer.alloc(10_001));
      else response.setHeader("content-encoding", "gzip").end(gzipSync(Buffer.alloc(10_001)));
    });
    for (const path of ["/declared", "/sent", "/packed"]) {
      await expect(get(url + path)).rejects.toEqual(refusal("download-too-large"));
    }
  });

  test.each(["declared", "chunked", "packed"])("by a %s body that ends early", async (kind) => {
    const url = await serve((_, response) => {
      if (kind === "declared") response.setHeader("content-length", 100);
      if (kind === "packed") response.setHeader("content-encoding", "gzip");
      response.write(kind === "packed" ? gzipSync("packed").subarray(0, 15) : "only this");
      setImmediate(() => response.socket?.end());
    });
    await expect(get(url)).rejects.toEqual(refusal("download-failed"));
  });

  test("by a packed body that ends early, though the connection ends well", async () => {
    const url = await serve((_, response) => {
      response.setHeader("content-encoding", "gzip").end(gzipSync("packed").subarray(0, 15));
    });
    await expect(get(url)).rejects.toEqual(refusal("download-failed"));
  });

  test("by a body that is not encoded as it says, or as nobody asked for", async () => {
    const url = await serve(({ url: path }, response) => {
      response.setHeader("content-encoding", path?.slice(1) ?? "").end("plain");
    });
    await expect(get(`${url}/gzip`)).rejects.toEqual(refusal("download-failed"));
    await expect(get(`${url}/zstd`)).rejects.toEqual(refusal("download-failed", /"zstd"/));
  });

  test("by a connection that is reset in the middle of the body", async () => {
    const url = await serve((_, response) => {
      response.setHeader("content-length", 100).write("only this");
      setImmediate(() => response.socket?.resetAndDestroy());
    });
    await expect(get(url)).rejects.toEqual(refusal("download-failed"));
  });

  test.each([
    ["that is closed without an answer", ""],
    ["that speaks something else", "220 mail.example ESMTP\r\n"],
    ["that would switch protocols", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"],
  ])("by a connection %s", async (_name, bytes) => {
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(bytes));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    resources.defer(() => void server.close());
    await expect(get(`http://127.0.0.1:${portOf(server)}`)).rejects.toEqual(refusal("download-failed"));
  });

  test("by silence: of a connection, before the headers, in the body", async () => {
    const beforeHeaders = await serveRaw("HTTP/1.1 200 OK\r\n");
    const inBody = await serveRaw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na beginning");
    for (const url of [beforeHeaders, inBody]) {
      const options = { idleTimeoutMs: 100 };
      await expect(get(url, options)).rejects.toEqual(refusal("download-timeout", /is silent for 0\.1 s/));
    }
    // A server of plain TCP never agrees on TLS.
    const noTls = (await serveRaw("")).replace("http:", "https:");
    await expect(get(noTls, { connectTimeoutMs: 100 })).rejects.toEqual(
      refusal("download-timeout", /cannot be connected to for 0\.1 s/),
    );
  });

  test("by a trickle that goes on for too long, in the headers or in the body", async () => {
    const url = await serve(({ url: path }, response) => {
      const { socket } = response;
      if (path === "/body") response.flushHeaders();
      else socket?.write("HTTP/1.1 200 OK\r\n");
      const trickle = setInterval(() => {
        if (path === "/body") response.write(".");
        else socket?.write("X-More: .\r\n");
      }, 20);
      socket?.on("close", () => clearInterval(trickle));
    });
    for (const path of ["/body", "/headers"]) {
      await expect(get(url + path, { totalTimeoutMs: 200 })).rejects.toEqual(
        refusal("download-timeout", /takes longer than 0\.2 s/),
      );
    }
  });

  test("and tells neither credentials nor query", async () => {
    const url = await serve(({ url: path }, response) => {
      if (path?.startsWith("/redirect")) {
        response.writeHead(302, { location: "//user:password@127.0.0.1:1/b?key=secret#secret" }).end();
      } else response.writeHead(404).end();
    });
    const withSecrets = url.replace("//", "//user:password@");
    for (const uri of [
      `${withSecrets}/a?key=secret`,
      `${withSecrets}/redirect?key=secret`,
      "ftp://user:password@example.com/secret",
      "http://user:password@[broken/secret",
      "http://user:password%ZZ@127.0.0.1:1/?secret",
    ]) {
      const error = await get(uri).catch((thrown: PlatenError) => thrown);
      expect(error).toBeInstanceOf(PlatenError);
      expect((error as PlatenError).message).not.toMatch(/password|secret/);
    }
  });
});

describe("a download is refused", () => {
  test.each(["ftp://example.com/a", "file:///etc/passwd", "data:,x", "nonsense", ""])(
    "from %j",
    async (uri) => {
      await expect(get(uri)).rejects.toEqual(refusal("download-refused"));
    },
  );

  test.each([
    "http://127.0.0.1/",
    "http://localhost/",
    "http://169.254.169.254/latest/meta-data",
    "http://10.0.0.1/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://0/",
  ])("from an address of this machine or its network, however it is written: %s", async (uri) => {
    await expect(get(uri, { mayConnectTo: isPublicAddress })).rejects.toEqual(
      refusal("download-refused", /--download-allow-private/),
    );
  });

  test("from a name by the addresses that it has when it is connected to; nothing is sent", async () => {
    let requests = 0;
    const url = await serve((_, response) => {
      requests++;
      response.end();
    });
    const asked: string[] = [];
    const mayConnectTo = (address: string) => {
      asked.push(address);
      return false;
    };
    const named = url.replace("127.0.0.1", "localhost");
    await expect(get(named, { mayConnectTo })).rejects.toEqual(refusal("download-refused"));
    expect(asked[0]).toMatch(/^(127\.0\.0\.1|::1)$/);
    expect(requests).toBe(0);
  });

  test.each([
    "http://127.0.0.2:9/",
    "//127.0.0.2:9/",
    "http://[::1]:9/",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
  ])("where it redirects to what would be refused by itself: %s", async (location) => {
    const url = await serve((_, response) => response.writeHead(302, { location }).end());
    const options = { mayConnectTo: (address: string) => address === "127.0.0.1" };
    await expect(get(url, options)).rejects.toEqual(refusal("download-refused"));
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
    resources.defer(() => {
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
    const plain = await serve((_, response) => {
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
    const url = await serve((_, response) => {
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

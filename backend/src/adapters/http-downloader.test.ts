import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { type ErrorCode, PlatenError } from "@platen/proto";
import { describe, expect, it } from "vitest";
import { createHttpDownloader, type HttpDownloaderOptions } from "./http-downloader.ts";
import { isPublicAddress } from "./public-address.ts";

const never = new AbortController().signal;
const refusal = (code: ErrorCode, message?: RegExp) =>
  expect.objectContaining({ code, ...(message && { message: expect.stringMatching(message) as string }) });

async function serverOf(listener: RequestListener) {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const allowed = { maxBytes: 10_000, totalTimeoutMs: 20_000, mayConnectTo: () => true };

/** All bytes of a document. */
async function get(
  uri: string,
  options: Partial<HttpDownloaderOptions> = {},
  signal = never,
): Promise<Buffer> {
  await using download = await createHttpDownloader({ ...allowed, ...options }).open(uri, signal);
  return Buffer.concat(await Array.fromAsync(download.bytes));
}

describe("a download", () => {
  it("yields the document and what was declared of it", async () => {
    await using server = await serverOf((_, response) =>
      response.setHeader("content-length", 5).end("hello"),
    );
    await using download = await createHttpDownloader(allowed).open(server.url, never);
    expect(download.declaredBytes).toBe(5);
    expect(Buffer.concat(await Array.fromAsync(download.bytes)).toString()).toBe("hello");
  });

  it("follows redirects, also relative ones", async () => {
    await using server = await serverOf((request, response) => {
      if (request.url === "/end") response.end("there");
      else response.writeHead(302, { location: "/end" }).end();
    });
    expect((await get(`${server.url}/start`)).toString()).toBe("there");
  });

  it("undoes gzip", async () => {
    await using server = await serverOf((_, response) => {
      response.setHeader("content-encoding", "gzip").end(gzipSync("packed"));
    });
    expect((await get(server.url)).toString()).toBe("packed");
  });
});

describe("S1208: a download that fails", () => {
  it.each([404, 500, 204])("by the answer %i says so", async (status) => {
    await using server = await serverOf((_, response) => response.writeHead(status).end());
    await expect(get(`${server.url}/x?secret=1`)).rejects.toEqual(
      refusal("download-failed", new RegExp(`/x answers ${status}`)),
    );
  });

  it("by redirects without end", async () => {
    await using server = await serverOf((_, response) =>
      response.writeHead(302, { location: "/again" }).end(),
    );
    await expect(get(server.url)).rejects.toEqual(refusal("download-failed", /redirects more than 5 times/));
  });

  it("by a host that refuses connections, without telling credentials or query", async () => {
    const url = await (async () => {
      await using server = await serverOf(() => {});
      return server.url;
    })();
    const error = await get(url.replace("//", "//user:password@") + "/a?key=secret").catch(
      (thrown: PlatenError) => thrown,
    );
    expect(error).toEqual(refusal("download-failed"));
    expect((error as PlatenError).message).not.toMatch(/password|secret/);
  });

  it("by more bytes than allowed: declared, sent without being declared, or unpacked", async () => {
    await using server = await serverOf((request, response) => {
      if (request.url === "/declared") response.setHeader("content-length", 20_000).flushHeaders();
      else if (request.url === "/sent") response.end(Buffer.alloc(20_000));
      else response.setHeader("content-encoding", "gzip").end(gzipSync(Buffer.alloc(20_000)));
    });
    for (const path of ["/declared", "/sent", "/packed"]) {
      await expect(get(server.url + path)).rejects.toEqual(refusal("download-too-large"));
    }
  });

  it("by a body that ends early, with and without a declared length", async () => {
    await using server = await serverOf((request, response) => {
      if (request.url === "/declared") response.setHeader("content-length", 100);
      response.write("only this");
      setImmediate(() => (response.socket as Socket).destroy());
    });
    for (const path of ["/declared", "/chunked"]) {
      await expect(get(server.url + path)).rejects.toEqual(refusal("download-failed"));
    }
  });

  it("by silence before the headers and in the body", async () => {
    await using server = await serverOf((request, response) => {
      if (request.url === "/body") response.write("a beginning");
    });
    await expect(get(server.url, { idleTimeoutMs: 100 })).rejects.toEqual(
      refusal("download-timeout", /silent/),
    );
    await expect(get(`${server.url}/body`, { idleTimeoutMs: 100 })).rejects.toEqual(
      refusal("download-timeout", /silent/),
    );
  });

  it("by a trickle that goes on for too long", async () => {
    await using server = await serverOf((_, response) => {
      const trickle = setInterval(() => response.write("."), 20);
      response.on("close", () => clearInterval(trickle));
    });
    await expect(get(server.url, { totalTimeoutMs: 200 })).rejects.toEqual(
      refusal("download-timeout", /longer than/),
    );
  });
});

describe("a refused download", () => {
  it.each(["ftp://example.com/a", "file:///etc/passwd", "data:,x", "nonsense"])("%s", async (uri) => {
    await expect(get(uri)).rejects.toEqual(refusal("download-refused"));
  });

  it.each([
    "http://127.0.0.1/",
    "http://localhost/",
    "http://169.254.169.254/latest/meta-data",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://0x7f.1/",
  ])("%s: an address of this machine or its network", async (uri) => {
    await expect(get(uri, { mayConnectTo: isPublicAddress })).rejects.toEqual(refusal("download-refused"));
  });
});

describe("a download that its caller gives up", () => {
  it("ends as canceled, before the answer and in the body", async () => {
    await using server = await serverOf((request, response) => {
      if (request.url === "/body") response.write("a beginning");
    });
    for (const path of ["/", "/body"]) {
      const abort = new AbortController();
      const download = get(server.url + path, {}, abort.signal);
      const refused = expect(download).rejects.toEqual(refusal("canceled"));
      abort.abort(new PlatenError("canceled", "enough"));
      await refused;
    }
  });
});

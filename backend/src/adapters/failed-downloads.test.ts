/** S1208, S1212: downloads that fail, and those that are refused. */
import { once } from "node:events";
import net from "node:net";
import { gzipSync } from "node:zlib";
import { PlatenError } from "@platen/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { get, portOf, refusal, TestWeb } from "../testing/web.ts";
import { isPublicAddress } from "./public-address.ts";

let web: TestWeb;
beforeEach(() => {
  web = new TestWeb();
});
afterEach(() => web[Symbol.dispose]());

describe("S1208: a download fails", () => {
  test.each([
    [404, "404 Not Found"],
    [500, "500 Internal Server Error"],
    [204, "204 No Content"],
    [206, "206 Partial Content"],
    [304, "304 Not Modified"],
    [599, "599"],
  ])("by the answer %i, and says so in the field's own words", async (status, words) => {
    const url = await web.serve((_, response) => response.writeHead(status, "something else").end());
    await expect(get(`${url}/x?secret=1`)).rejects.toEqual(
      refusal("download-failed", new RegExp(`/x answers ${words}$`)),
    );
  });

  test("by redirects without end", async () => {
    let requests = 0;
    const url = await web.serve((_, response) => {
      requests++;
      response.writeHead(302, { location: "/again" }).end();
    });
    await expect(get(url)).rejects.toEqual(refusal("download-failed", /redirects more than 5 times/));
    expect(requests).toBe(6);
  });

  test("by a redirect to nowhere", async () => {
    const url = await web.serve((_, response) => response.writeHead(302).end());
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
    const url = await web.serve(({ url: path }, response) => {
      if (path === "/declared") response.setHeader("content-length", 10_001).flushHeaders();
      else if (path === "/sent") response.end(Buffer.alloc(10_001));
      else response.setHeader("content-encoding", "gzip").end(gzipSync(Buffer.alloc(10_001)));
    });
    for (const path of ["/declared", "/sent", "/packed"]) {
      await expect(get(url + path)).rejects.toEqual(refusal("download-too-large"));
    }
  });

  test.each(["declared", "chunked", "packed"])("by a %s body that ends early", async (kind) => {
    const url = await web.serve((_, response) => {
      if (kind === "declared") response.setHeader("content-length", 100);
      if (kind === "packed") response.setHeader("content-encoding", "gzip");
      response.write(kind === "packed" ? gzipSync("packed").subarray(0, 15) : "only this");
      setImmediate(() => response.socket?.end());
    });
    await expect(get(url)).rejects.toEqual(refusal("download-failed"));
  });

  test("by a packed body that ends early, though the connection ends well", async () => {
    const url = await web.serve((_, response) => {
      response.setHeader("content-encoding", "gzip").end(gzipSync("packed").subarray(0, 15));
    });
    await expect(get(url)).rejects.toEqual(refusal("download-failed"));
  });

  test("by a body that is not encoded as it says, or as nobody asked for", async () => {
    const url = await web.serve(({ url: path }, response) => {
      response.setHeader("content-encoding", path?.slice(1) ?? "").end("plain");
    });
    await expect(get(`${url}/gzip`)).rejects.toEqual(refusal("download-failed"));
    await expect(get(`${url}/zstd`)).rejects.toEqual(refusal("download-failed", /"zstd"/));
  });

  test("by a connection that is reset in the middle of the body", async () => {
    const url = await web.serve((_, response) => {
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
    web.defer(() => void server.close());
    await expect(get(`http://127.0.0.1:${portOf(server)}`)).rejects.toEqual(refusal("download-failed"));
  });

  test("by silence: of a connection, before the headers, in the body", async () => {
    const beforeHeaders = await web.serveRaw("HTTP/1.1 200 OK\r\n");
    const inBody = await web.serveRaw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na beginning");
    for (const url of [beforeHeaders, inBody]) {
      const options = { idleTimeoutMs: 100 };
      await expect(get(url, options)).rejects.toEqual(refusal("download-timeout", /is silent for 0\.1 s/));
    }
    // A server of plain TCP never agrees on TLS.
    const noTls = (await web.serveRaw("")).replace("http:", "https:");
    await expect(get(noTls, { connectTimeoutMs: 100 })).rejects.toEqual(
      refusal("download-timeout", /cannot be connected to for 0\.1 s/),
    );
  });

  test("by a trickle that goes on for too long, in the headers or in the body", async () => {
    const url = await web.serve(({ url: path }, response) => {
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
    const url = await web.serve(({ url: path }, response) => {
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
    const url = await web.serve((_, response) => {
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
    const url = await web.serve((_, response) => response.writeHead(302, { location }).end());
    const options = { mayConnectTo: (address: string) => address === "127.0.0.1" };
    await expect(get(url, options)).rejects.toEqual(refusal("download-refused"));
  });
});

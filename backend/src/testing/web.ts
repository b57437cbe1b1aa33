/** Web servers for tests of downloads, good and bad. */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import type { ErrorCode } from "@platen/proto";
import { expect } from "vitest";
import { createHttpDownloader, type HttpDownloaderOptions } from "../adapters/http-downloader.ts";

export const never = new AbortController().signal;

export const refusal = (code: ErrorCode, message?: RegExp): unknown =>
  expect.objectContaining({ code, ...(message && { message: expect.stringMatching(message) as string }) });

export const portOf = (server: net.Server): number => (server.address() as AddressInfo).port;

export const defaults: HttpDownloaderOptions = {
  maxBytes: 10_000,
  totalTimeoutMs: 20_000,
  mayConnectTo: () => true,
};

/** All bytes of a document. */
export async function get(
  uri: string,
  options: Partial<HttpDownloaderOptions> = {},
  signal = never,
): Promise<Buffer> {
  await using download = await createHttpDownloader({ ...defaults, ...options }).open(uri, signal);
  return Buffer.concat(await Array.fromAsync(download.bytes));
}

/** Servers on the loopback that end with it, whatever is still connected. */
export class TestWeb implements Disposable {
  readonly #resources = new DisposableStack();

  /** Called when it ends. */
  defer(end: () => void): void {
    this.#resources.defer(end);
  }

  /** Base URL of a server that answers so. */
  async serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, "127.0.0.1");
    await once(server, "listening");
    this.defer(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${portOf(server)}`;
  }

  /** Base URL of a server that says these bytes, whatever it is asked, and then holds the connection. */
  async serveRaw(bytes: string): Promise<string> {
    const sockets: Socket[] = [];
    const server = net.createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.write(bytes);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.defer(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return `http://127.0.0.1:${portOf(server)}`;
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}

/** The downloader port with node's own HTTP clients (S1207, S1208). */
import { lookup as dnsLookup } from "node:dns";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { type Readable, pipeline } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { PlatenError, toPlatenError } from "@platen/proto";
import type { Download, Downloader } from "../ports/downloader.ts";

export interface HttpDownloaderOptions {
  /** Most bytes of a document, before and after its content encoding is undone. */
  readonly maxBytes: number;
  /** Longest download, from the first connection to the last byte. */
  readonly totalTimeoutMs: number;
  /** Longest silence: no connection, no answer, no byte. Default 30 s. */
  readonly idleTimeoutMs?: number;
  /** Download from loopback, private and link-local addresses too. Default: refuse them. */
  readonly allowPrivate?: boolean;
  /** Authorities that https servers' certificates may come from, PEM, instead of the system's. */
  readonly ca?: Buffer;
}

const maxRedirects = 5;

/** Addresses that name this machine, its network or its provider's metadata service: RFC 6890 and IANA's registries. */
const privateAddresses = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
] as const) {
  privateAddresses.addSubnet(net, bits, "ipv4");
}
for (const [net, bits] of [
  ["::", 127],
  ["64:ff9b::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  privateAddresses.addSubnet(net, bits, "ipv6");
}

/** BlockList knows an IPv4 address in IPv6 clothes (`::ffff:127.0.0.1`) as the IPv4 one. */
const isPrivate = (address: string): boolean =>
  privateAddresses.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");

/** Where a document is, without credentials, query and fragment: those may be secrets. */
const nameOf = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`;

const refusedAddress = (host: string): PlatenError =>
  new PlatenError(
    "download-refused",
    `${host} is on this machine or its private network, from which this backend does not download; the operator may allow it with --download-allow-private`,
  );

/** Looks a host up, and refuses it where an address is private: what is connected to is what was checked. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, []);
    if (addresses.some(({ address }) => isPrivate(address))) return callback(refusedAddress(hostname), []);
    if (options.all) return callback(null, addresses);
    const [first] = addresses;
    return callback(null, first!.address, first!.family);
  });
};

export function createHttpDownloader(options: HttpDownloaderOptions): Downloader {
  return { open: (uri, signal) => new HttpDownload(options, signal).open(uri) };
}

class HttpDownload {
  readonly #options: Required<Omit<HttpDownloaderOptions, "ca">> & { ca: Buffer | undefined };
  readonly #signal: AbortSignal;
  readonly #timeUp: AbortSignal;
  readonly #over = new AbortController();
  /** The caller gave up, the time is up, or the download was disposed of. */
  readonly #stop: AbortSignal;
  /** The other side was silent for too long. */
  #silent = false;

  constructor(options: HttpDownloaderOptions, signal: AbortSignal) {
    this.#options = { idleTimeoutMs: 30_000, allowPrivate: false, ...options, ca: options.ca };
    this.#signal = signal;
    this.#timeUp = AbortSignal.timeout(options.totalTimeoutMs);
    this.#stop = AbortSignal.any([signal, this.#timeUp, this.#over.signal]);
  }

  async open(uri: string): Promise<Download> {
    try {
      let url = this.#parse(uri);
      for (let redirects = 0; ; redirects++) {
        const response = await this.#get(url);
        const status = response.statusCode ?? 0;
        if (status === 200) return this.#download(response, url);
        response.destroy();
        const { location } = response.headers;
        if (![301, 302, 303, 307, 308].includes(status) || !location) {
          throw new PlatenError(
            "download-failed",
            `${nameOf(url)} answers ${status} ${response.statusMessage ?? ""}`.trim(),
          );
        }
        if (redirects === maxRedirects) {
          throw new PlatenError(
            "download-failed",
            `${nameOf(url)} redirects more than ${maxRedirects} times`,
          );
        }
        url = this.#parse(location, url);
      }
    } catch (error) {
      this.#over.abort();
      throw error;
    }
  }

  #parse(uri: string, base?: URL): URL {
    const url = URL.parse(uri, base?.href);
    if (!url) throw new PlatenError("download-refused", "the document's URI is not one");
    if (url.protocol !== "http:" && url.protocol !== "https:") {
      throw new PlatenError(
        "download-refused",
        `documents are downloaded by http and https, not by ${url.protocol.slice(0, -1)}`,
      );
    }
    // An address in the URI is never looked up.
    const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
    if (!this.#options.allowPrivate && isIP(host) && isPrivate(host)) throw refusedAddress(url.hostname);
    return url;
  }

  /** Resolves to the answer, its body not yet read. */
  #get(url: URL): Promise<IncomingMessage> {
    const { allowPrivate, idleTimeoutMs, ca } = this.#options;
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
      headers: {
        accept: "application/pdf, image/jpeg, image/png, */*;q=0.1",
        "accept-encoding": "gzip, br",
        "user-agent": "platen",
      },
      timeout: idleTimeoutMs,
      agent: false,
      ...(ca && { ca }),
      ...(!allowPrivate && { lookup: publicLookup }),
    });
    request.once("timeout", () => {
      this.#silent = true;
      request.destroy();
    });
    const stop = () => void request.destroy();
    this.#stop.addEventListener("abort", stop, { once: true });
    request.once("close", () => this.#stop.removeEventListener("abort", stop));
    if (this.#stop.aborted) stop();
    return new Promise((resolve, reject) => {
      request.once("response", resolve);
      // Not once: what fails after the answer is told by its body.
      request.on("error", (error) => reject(this.#reason(error, url)));
      request.end();
    });
  }

  #download(response: IncomingMessage, url: URL): Download {
    const { maxBytes } = this.#options;
    const length = response.headers["content-length"];
    const declaredBytes = length === undefined ? undefined : Number(length);
    if (declaredBytes !== undefined && declaredBytes > maxBytes) {
      response.destroy();
      throw tooLarge(url, maxBytes);
    }
    return {
      declaredBytes,
      bytes: this.#body(response, url),
      [Symbol.asyncDispose]: async () => {
        this.#over.abort();
        response.destroy();
      },
    };
  }

  async *#body(response: IncomingMessage, url: URL): AsyncGenerator<Uint8Array> {
    const { maxBytes } = this.#options;
    let sizeBytes = 0;
    try {
      for await (const chunk of decoded(response)) {
        sizeBytes += (chunk as Uint8Array).length;
        if (sizeBytes > maxBytes) throw tooLarge(url, maxBytes);
        yield chunk as Uint8Array;
      }
    } catch (error) {
      throw this.#reason(error, url);
    }
    // A connection that is closed early may look like an end.
    if (!response.complete)
      throw this.#reason(new Error("the connection ended before the document did"), url);
  }

  /** What a failure on the way is to the caller. */
  #reason(error: unknown, url: URL): PlatenError {
    if (this.#signal.aborted) return toPlatenError(this.#signal.reason);
    if (this.#timeUp.aborted) {
      return new PlatenError(
        "download-timeout",
        `${nameOf(url)} takes longer than ${this.#options.totalTimeoutMs / 1000} s`,
      );
    }
    if (this.#silent) {
      return new PlatenError(
        "download-timeout",
        `${nameOf(url)} is silent for ${this.#options.idleTimeoutMs / 1000} s`,
      );
    }
    if (error instanceof PlatenError) return error;
    const { code, message } = error as NodeJS.ErrnoException;
    return new PlatenError("download-failed", `${nameOf(url)} cannot be downloaded: ${message || code}`, {
      cause: error,
    });
  }
}

/** The body with its content encoding undone, though none was asked for but these. */
function decoded(response: IncomingMessage): Readable {
  const undo = {
    gzip: createGunzip,
    "x-gzip": createGunzip,
    br: createBrotliDecompress,
    deflate: createInflate,
  };
  const encoding = response.headers["content-encoding"]?.toLowerCase() ?? "";
  if (!Object.hasOwn(undo, encoding)) return response;
  // The callback is not needed: an error of either reaches whoever reads the decoder.
  return pipeline(response, undo[encoding as keyof typeof undo](), () => {}) as unknown as Readable;
}

const tooLarge = (url: URL, maxBytes: number): PlatenError =>
  new PlatenError(
    "download-too-large",
    `${nameOf(url)} has more than the ${maxBytes} bytes that are allowed`,
  );

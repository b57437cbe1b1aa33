/** The downloader port with node's own HTTP clients (S1207, S1208). */
import { lookup as dnsLookup } from "node:dns";
import { type IncomingMessage, request as httpRequest, STATUS_CODES } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { pipeline, type Readable } from "node:stream";
import { getCACertificates } from "node:tls";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { PlatenError } from "@platen/proto";
import type { Download, Downloader } from "../ports/downloader.ts";
import { Patience } from "./patience.ts";

export interface HttpDownloaderOptions {
  /** Most bytes of a document, as declared, as sent and as unpacked. */
  readonly maxBytes: number;
  /** Longest download, from the first connection to the last byte, milliseconds. */
  readonly totalTimeoutMs: number;
  /** Longest time for a connection, its host looked up and TLS agreed on, milliseconds. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** Longest silence of the other side once connected, milliseconds. Default 30 s. */
  readonly idleTimeoutMs?: number;
  /**
   * Which addresses may be connected to (public-address.ts). It is asked about the very address that a connection is made
   * to, whatever name led there, after each redirect anew: what a name resolves to later changes nothing.
   */
  readonly mayConnectTo: (address: string) => boolean;
  /** Authorities that https servers' certificates may come from beside the system's, PEM. */
  readonly ca?: Buffer;
}

const maxRedirects = 5;
const defaultConnectTimeoutMs = 10_000;
const defaultIdleTimeoutMs = 30_000;

const isRedirect = ({ statusCode }: IncomingMessage): boolean =>
  [301, 302, 303, 307, 308].includes(statusCode ?? 0);

/** Where a document is, without credentials, query and fragment: those may be secrets. */
const nameOf = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`;

const failed = (url: URL, message: string, options?: ErrorOptions): PlatenError =>
  new PlatenError("download-failed", `${nameOf(url)} ${message}`, options);

const refusedAddress = (host: string): PlatenError =>
  new PlatenError(
    "download-refused",
    `${host} is on this machine or its private network, from which this backend does not download; the operator may allow it with --download-allow-private`,
  );

const tooLarge = (url: URL, maxBytes: number): PlatenError =>
  new PlatenError(
    "download-too-large",
    `${nameOf(url)} has more than the ${maxBytes} bytes that are allowed`,
  );

/** What a system error says; of several attempts (IPv6 and IPv4) the first. */
function reasonOf(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return first instanceof Error ? first.message : String(first);
}

export const createHttpDownloader = (options: HttpDownloaderOptions): Downloader => ({
  open: (uri, signal) => HttpDownload.open(uri, signal, options),
});

class HttpDownload implements Download {
  readonly #options: HttpDownloaderOptions;
  readonly #patience: Patience;
  readonly #url: URL;
  readonly #response: IncomingMessage;
  readonly declaredBytes: number | undefined;
  readonly bytes: AsyncIterable<Uint8Array>;

  static async open(uri: string, signal: AbortSignal, options: HttpDownloaderOptions): Promise<HttpDownload> {
    let url = parse(uri, options);
    const patience = new Patience(signal, nameOf(url), options.totalTimeoutMs);
    try {
      let response = await get(url, patience, options);
      for (let redirects = 1; isRedirect(response); redirects++) {
        response.destroy();
        if (redirects > maxRedirects) throw failed(url, `redirects more than ${maxRedirects} times`);
        const { location } = response.headers;
        if (location === undefined) throw failed(url, "redirects without saying where to");
        url = parse(location, options, url);
        response = await get(url, patience, options);
      }
      return new HttpDownload(options, patience, url, response);
    } catch (error) {
      patience[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(
    options: HttpDownloaderOptions,
    patience: Patience,
    url: URL,
    response: IncomingMessage,
  ) {
    this.#options = options;
    this.#patience = patience;
    this.#url = url;
    this.#response = response;
    const { statusCode = 0, headers } = response;
    const length = headers["content-length"];
    this.declaredBytes = length === undefined ? undefined : Number(length);
    this.bytes = this.#read();
    if (statusCode === 200 && (this.declaredBytes ?? 0) <= options.maxBytes) return;
    response.destroy();
    if (statusCode === 200) throw tooLarge(url, options.maxBytes);
    throw failed(url, `answers ${statusCode} ${STATUS_CODES[statusCode] ?? ""}`.trim());
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    const { maxBytes, idleTimeoutMs = defaultIdleTimeoutMs } = this.#options;
    let sizeBytes = 0;
    try {
      const chunks: AsyncIterator<Uint8Array> = decoded(this.#response)[Symbol.asyncIterator]();
      for (;;) {
        // Only the other side's silence counts: the reader may take its time.
        this.#patience.begin(idleTimeoutMs, `${nameOf(this.#url)} is silent`);
        const { value, done } = await chunks.next();
        this.#patience.rest();
        if (done) break;
        sizeBytes += value.length;
        if (sizeBytes > maxBytes) throw tooLarge(this.#url, maxBytes);
        yield value;
      }
    } catch (error) {
      throw failureOf(error, this.#url, this.#patience);
    } finally {
      this.#end();
    }
  }

  #end(): void {
    this.#patience[Symbol.dispose]();
    this.#response.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
  }
}

function parse(uri: string, { mayConnectTo }: HttpDownloaderOptions, base?: URL): URL {
  const url = URL.parse(uri, base?.href);
  if (!url) throw new PlatenError("download-refused", "the document's URI is not one");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new PlatenError(
      "download-refused",
      `documents are downloaded by http and https, not by ${url.protocol.slice(0, -1)}`,
    );
  }
  if (base?.protocol === "https:" && url.protocol === "http:") {
    throw new PlatenError(
      "download-refused",
      `${nameOf(base)} redirects from https to http, where anybody on the way could read or change the document`,
    );
  }
  // An address in the URI is never looked up.
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) && !mayConnectTo(host)) throw refusedAddress(url.hostname);
  return url;
}

/** Resolves to the answer, its body not yet read. */
async function get(url: URL, patience: Patience, options: HttpDownloaderOptions): Promise<IncomingMessage> {
  const { connectTimeoutMs = defaultConnectTimeoutMs, idleTimeoutMs = defaultIdleTimeoutMs, ca } = options;
  const isTls = url.protocol === "https:";
  try {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const request = (isTls ? httpsRequest : httpRequest)(url, {
        headers: {
          accept: "application/pdf, image/jpeg, image/png, */*;q=0.1",
          "accept-encoding": "gzip, br",
          "user-agent": "platen",
        },
        agent: false,
        signal: patience.signal,
        lookup: lookupFor(options),
        ...(ca && { ca: [...getCACertificates("default"), ca] }),
      });
      patience.begin(connectTimeoutMs, `${nameOf(url)} cannot be connected to`);
      request.once("socket", (socket) =>
        socket.once(isTls ? "secureConnect" : "connect", () =>
          patience.begin(idleTimeoutMs, `${nameOf(url)} is silent`),
        ),
      );
      request.once("response", resolve);
      // Not once: what fails after the answer is told by its body.
      request.on("error", reject);
      request.once("close", () => reject(new Error("the connection was closed without an answer")));
      request.end();
    });
  } catch (error) {
    throw failureOf(error, url, patience);
  }
}

/** Looks a host up, and refuses it where one of its addresses is: what is connected to is what was checked. */
const lookupFor =
  ({ mayConnectTo }: HttpDownloaderOptions): LookupFunction =>
  (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      if (!addresses.every(({ address }) => mayConnectTo(address))) {
        return callback(refusedAddress(hostname), []);
      }
      if (options.all) return callback(null, addresses);
      const [first] = addresses;
      return callback(null, first!.address, first!.family);
    });
  };

const decoders = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  br: createBrotliDecompress,
  deflate: createInflate,
};

/** The body with its content encoding undone. */
function decoded(response: IncomingMessage): Readable {
  const encoding = response.headers["content-encoding"]?.toLowerCase() ?? "identity";
  if (encoding === "identity") return response;
  if (!Object.hasOwn(decoders, encoding)) {
    throw new Error(`it is encoded as "${encoding}", which nobody asked for`);
  }
  // The callback is not needed: an error of either reaches whoever reads the decoder.
  return pipeline(response, decoders[encoding as keyof typeof decoders](), () => {}) as unknown as Readable;
}

/** What a failure on the way is to the caller. */
function failureOf(error: unknown, url: URL, { signal }: Patience): PlatenError {
  if (signal.aborted) return signal.reason as PlatenError;
  if (error instanceof PlatenError) return error;
  return failed(url, `cannot be downloaded: ${reasonOf(error)}`, { cause: error });
}

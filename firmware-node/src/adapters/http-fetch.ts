/** The result store over HTTP and HTTPS, with node's own client: S1404, S1406. */
import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import {
  type ErrorCode,
  isErrorCode,
  PlatenError,
  requireTlsUnlessLoopback,
  type TlsMaterial,
} from "@platen/proto";
import type { Content, ResultStore } from "../ports/result-store.ts";

// `import` reads every property of a module of Node's, and one of node:http loads an HTTP client of its own, with all that it
// needs: 10 MB of the printer's memory.
const http = process.getBuiltinModule("node:http");
const https = process.getBuiltinModule("node:https");

export interface HttpFetchOptions {
  /** Trust and, where the server asks for it, this side's certificate. */
  readonly tls: TlsMaterial;
  /** Fetch without TLS from other machines too. */
  readonly allowPlaintext: boolean;
}

/** Most of a refusal's body that is read, bytes. */
const refusalMaxBytes = 16 * 1024;
/** After so long without data the system asks whether the other side is still there, milliseconds. */
const keepAliveProbeMs = 15_000;
/** Statuses that another attempt may get over, where the server does not say what it is. */
const passing = new Set([408, 429, 502, 503, 504]);

/** What OpenSSL and node call a certificate that does not hold. */
const certificateCodes = /^(ERR_TLS_|CERT_|UNABLE_TO_|.*SELF_SIGNED_CERT)/;

/** What went wrong on the way: another attempt may get over it, unless it is the other side's certificate. */
function broken(error: unknown, url: URL): PlatenError {
  if (error instanceof PlatenError) return error;
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (certificateCodes.test(code)) {
    const cure = "give the authority it comes from with --tls-ca";
    return new PlatenError(
      "unauthenticated",
      `the certificate of ${url.host} is not trusted (${message}): ${cure}`,
      {
        cause: error,
      },
    );
  }
  return new PlatenError("unavailable", `${url.host} does not answer: ${message || code}`, { cause: error });
}

async function* bodyOf(response: IncomingMessage, url: URL): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array;
  } catch (error) {
    throw broken(error, url);
  }
}

/** The refusal that the server explains in JSON (`code`, `message`), or what its status says. */
async function refusalOf(response: IncomingMessage, url: URL): Promise<PlatenError> {
  const status = response.statusCode ?? 0;
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of bodyOf(response, url)) {
    parts.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > refusalMaxBytes) break;
  }
  let said: { code?: unknown; message?: unknown } = {};
  try {
    said = Object(JSON.parse(Buffer.concat(parts).toString("utf8"))) as typeof said;
  } catch {
    // Something in between answered: its status has to do.
  }
  const fallback: ErrorCode = passing.has(status)
    ? "unavailable"
    : status === 401
      ? "unauthenticated"
      : "internal";
  const code = typeof said.code === "string" && isErrorCode(said.code) ? said.code : fallback;
  const message =
    typeof said.message === "string" ? said.message.slice(0, 500) : `${url.host} answers ${status}`;
  return new PlatenError(code, message);
}

/** What part of what whole an answer has; undefined when it has none of what was asked for. */
function placeOf(
  { statusCode, headers }: IncomingMessage,
  startByte: number,
): Pick<Content, "startByte" | "totalBytes"> | undefined {
  if (statusCode === 200) {
    const length = headers["content-length"];
    return { startByte: 0, totalBytes: length === undefined ? undefined : Number(length) };
  }
  const [, begins, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers["content-range"] ?? "") ?? [];
  if (statusCode !== 206 || Number(begins) !== startByte) return undefined;
  return { startByte, totalBytes: total === "*" ? undefined : Number(total) };
}

/** Whether an answer says that all is there before the byte asked for: the connection broke just behind the last one. */
const isWhole = ({ headers }: IncomingMessage, startByte: number): boolean =>
  headers["content-range"] === `bytes */${startByte}`;

async function* nothing(): AsyncGenerator<Uint8Array> {}

function headers(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once("response", (response) => {
      // Nobody may be reading when the connection breaks: who does is told by the iterator.
      response.on("error", () => {});
      resolve(response);
    });
    // Not once: what fails after the answer is told by the answer's body.
    request.on("error", reject);
    request.end();
  });
}

export class HttpFetch implements ResultStore, Disposable {
  readonly #options: HttpFetchOptions;
  readonly #http: Agent;
  readonly #https: Agent;

  constructor(options: HttpFetchOptions) {
    this.#options = options;
    const agent = { keepAlive: true, keepAliveMsecs: keepAliveProbeMs };
    this.#http = new http.Agent(agent);
    this.#https = new https.Agent({ ...agent, ...options.tls });
  }

  get(url: URL, token: string, startByte: number, signal: AbortSignal): Promise<Content> {
    return this.getFrom(url, { authorization: `Bearer ${token}` }, startByte, signal);
  }

  /** GET from a byte on (RFC 9110 section 14). Throws as ResultStore.get does. */
  async getFrom(
    url: URL,
    headers: Readonly<Record<string, string>>,
    startByte: number,
    signal: AbortSignal,
  ): Promise<Content> {
    const range = startByte > 0 ? { range: `bytes=${startByte}-` } : {};
    const response = await this.#request(url, { ...headers, ...range }, signal);
    const etag = response.headers.etag ?? "";
    if (response.statusCode === 416 && startByte > 0) {
      response.resume();
      if (isWhole(response, startByte)) return { startByte, totalBytes: startByte, etag, bytes: nothing() };
      // There are fewer bytes than were had: all of it tells whether it is still the same.
      return this.getFrom(url, headers, 0, signal);
    }
    const place = placeOf(response, startByte);
    // A redirect is no answer either: it would take the token elsewhere.
    if (!place) throw await refusalOf(response, url);
    return { ...place, etag, bytes: bodyOf(response, url) };
  }

  async #request(
    url: URL,
    requestHeaders: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    signal.throwIfAborted();
    const secure = url.protocol === "https:";
    const hostPort = `${url.hostname}:${url.port || 80}`;
    requireTlsUnlessLoopback(hostPort, secure, this.#options.allowPlaintext, "--allow-plaintext");
    const request = (secure ? https : http).request(url, {
      agent: secure ? this.#https : this.#http,
      headers: requestHeaders,
    });
    // Not the request's own `signal`, and without an error: both can raise it on a socket that nobody listens to any more,
    // when the answer has come but has not been read.
    const abort = () => request.destroy();
    signal.addEventListener("abort", abort);
    request.once("close", () => signal.removeEventListener("abort", abort));
    try {
      // A page is held until it is converted, so nothing here limits the wait for headers but the caller's signal.
      return await headers(request);
    } catch (error) {
      signal.throwIfAborted();
      throw broken(error, url);
    }
  }

  /** Closes idle connections. */
  [Symbol.dispose](): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

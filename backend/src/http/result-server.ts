/**
 * The result store over HTTP (S1501 to S1508): metafiles and pages, streamed, to whoever holds the token. And bundles of printers'
 * software, to printers.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { cannotListen, errorTable, PlatenError, type TlsMaterial, toPlatenError } from "@platen/proto";
import type { ResultStore } from "../app/result-store.ts";
import type { Blob } from "../ports/blob.ts";
import { sendBlob } from "./send-blob.ts";

export interface ResultServer extends AsyncDisposable {
  /** `http://host:port` or `https://host:port` as bound. */
  readonly url: string;
}

/** A bundle, for the printer that shows its update key; throws `update-unknown`, `unauthenticated` or `printer-unknown`. */
export type BundleSource = (sha256: string, printerId: string, updateKey: string) => Promise<Blob>;

const bundleRoute = /^\/v1\/updates\/([0-9a-f]{64})$/;
const routes = [
  { pattern: /^\/v1\/results\/([A-Za-z0-9_-]{1,64})\/metafile$/, kind: "metafile" },
  { pattern: /^\/v1\/results\/([A-Za-z0-9_-]{1,64})\/pages\/(\d{1,6})$/, kind: "page" },
] as const;

const bearer = (request: IncomingMessage): string =>
  /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";

function refuse(response: ServerResponse, error: PlatenError): void {
  if (response.headersSent) {
    // Too late for a status: a broken connection tells the printer that the page is not whole.
    response.destroy();
    return;
  }
  const body = JSON.stringify({ code: error.code, message: error.message });
  response.writeHead(errorTable[error.code].http, { "content-type": "application/json" }).end(body);
}

async function answer(
  store: ResultStore,
  bundles: BundleSource,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new PlatenError("unimplemented", "results can only be read: GET or HEAD");
  }
  const path = new URL(request.url ?? "/", "http://localhost").pathname;
  const bundle = bundleRoute.exec(path)?.[1];
  if (bundle !== undefined) {
    const printerId = String(request.headers["platen-printer-id"] ?? "");
    const blob = await bundles(bundle, printerId, bearer(request));
    return sendBlob(request, response, blob, "application/vnd.platen.bundle");
  }
  for (const { pattern, kind } of routes) {
    const [, id, page] = pattern.exec(path) ?? [];
    if (id === undefined) continue;
    if (kind === "metafile")
      return sendBlob(request, response, await store.metafile(id, bearer(request)), "application/json");
    const blob = await store.page(id, Number(page), bearer(request), signal);
    return sendBlob(request, response, blob, "application/vnd.platen.bands");
  }
  throw new PlatenError("identification-unknown", "there is nothing here");
}

const listener =
  (store: ResultStore, bundles: BundleSource, log: (error: PlatenError) => void): RequestListener =>
  async (request, response) => {
    const gone = new AbortController();
    response.on("close", () => gone.abort(new PlatenError("canceled", "the printer closed the connection")));
    try {
      await answer(store, bundles, request, response, gone.signal);
    } catch (thrown) {
      const error = toPlatenError(thrown);
      if (error.code === "internal" && !gone.signal.aborted) log(error);
      refuse(response, error);
    }
  };

/** Serves over TLS when there is a certificate. A held page request (not converted yet) may last; idle connections do not. */
export async function serveResults(
  store: ResultStore,
  options: {
    listen: string;
    tls: TlsMaterial;
    bundles: BundleSource;
    log: (error: PlatenError) => void;
  },
): Promise<ResultServer> {
  const { listen, tls, bundles, log } = options;
  const secure = tls.cert !== undefined && tls.key !== undefined;
  const handle = listener(store, bundles, log);
  const server: Server = secure
    ? createTlsServer(
        { cert: tls.cert, key: tls.key, ...(tls.ca && { ca: tls.ca, requestCert: true }) },
        handle,
      )
    : createServer(handle);
  const colon = listen.lastIndexOf(":");
  const host = listen.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(cannotListen(listen, cause)));
    server.listen(Number(listen.slice(colon + 1)), host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `${secure ? "https" : "http"}://${listen.slice(0, colon)}:${port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

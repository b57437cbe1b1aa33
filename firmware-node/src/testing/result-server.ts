/** A result store over real HTTP, which can be told to misbehave. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { create, type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import {
  type JobTicketSchema,
  MetafileSchema,
  type PrintInstruction,
  PrintInstructionSchema,
} from "@platen/proto";
import { bodyOf, type ServedPage } from "./pages.ts";

export const testToken = "token-of-the-session";

/** Answers a request in place of the server. Resolves to true when it has. */
export type Interception = (request: IncomingMessage, response: ServerResponse) => Promise<boolean> | boolean;

/** Answers requests for `path` with the handlers in turn, and then as the server does. */
export function inTurn(path: string, ...handlers: ((response: ServerResponse) => void)[]): Interception {
  return ({ url }, response) => {
    const handler = url === path ? handlers.shift() : undefined;
    handler?.(response);
    return handler !== undefined;
  };
}

/** Answers every request for `path` with these bytes. */
export const answering =
  (path: string, bytes: Uint8Array | string, statusCode = 200): Interception =>
  ({ url }, response) => {
    if (url !== path) return false;
    response.writeHead(statusCode).end(bytes);
    return true;
  };

/** Where the bytes begin that a request asks for with `Range: bytes=N-`. */
export const rangeStart = (request: IncomingMessage): number =>
  Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);

/**
 * Answers as the backend does: with the whole, from the byte asked for on, or that there is no such byte. After `sendBytes` the
 * connection breaks.
 */
export function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  body: Uint8Array,
  sendBytes = Infinity,
): void {
  const start = rangeStart(request);
  if (start > 0 && start >= body.length) {
    response.writeHead(416, { "content-range": `bytes */${body.length}` }).end();
    return;
  }
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": body.length - start,
    ...(start > 0 && { "content-range": `bytes ${start}-${body.length - 1}/${body.length}` }),
  });
  const rest = body.subarray(start);
  if (rest.length <= sendBytes) response.end(rest);
  else response.write(rest.subarray(0, sendBytes), () => response.destroy());
}

export interface ResultServerOptions {
  readonly pages: readonly ServedPage[];
  readonly printerId?: string;
  readonly ticket?: MessageInitShape<typeof JobTicketSchema>;
  readonly resolutionDpi?: number;
  /** ICC profile of the pages; default: sRGB. */
  readonly sourceProfile?: Uint8Array;
  /** Default: A4's. */
  readonly mediaHeightUm?: number;
  readonly intercept?: Interception;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
}

export interface ResultServer extends AsyncDisposable {
  /** Where the metafile of a job lies; every job has the same pages. */
  metafileUrl(jobId: string): string;
  /** Paths that were asked for with the right token, in order. */
  readonly requests: readonly string[];
}

export type InstructionInit = Exclude<MessageInitShape<typeof PrintInstructionSchema>, PrintInstruction>;

/** A print request for what the server serves, to "printer-1" unless `init` says otherwise. */
export const instructionFor = (
  results: ResultServer,
  jobId = "job-1",
  init: InstructionInit = {},
): PrintInstruction =>
  create(PrintInstructionSchema, {
    session: { jobId, printerId: "printer-1" },
    identificationId: "id-1",
    metafileUrl: results.metafileUrl(jobId),
    token: testToken,
    ...init,
  });

export async function startResultServer(options: ResultServerOptions): Promise<ResultServer> {
  const {
    pages,
    printerId = "printer-1",
    ticket = {},
    resolutionDpi = 300,
    sourceProfile = new Uint8Array(0),
    mediaHeightUm = 297_000,
    intercept,
  } = options;
  const requests: string[] = [];
  let origin = "";

  const metafile = (jobId: string) =>
    toJsonString(
      MetafileSchema,
      create(MetafileSchema, {
        identificationId: "id-1",
        session: { jobId, printerId },
        jobName: "a test",
        ticket: { media: "iso_a4_210x297mm", ...ticket },
        mediaWidthUm: 210_000,
        mediaHeightUm,
        resolutionDpi,
        sourceProfile,
        pages: pages.map(({ widthPx, heightPx }, i) => ({
          pageNumber: i + 1,
          url: `${origin}/pages/${i + 1}`,
          widthPx,
          heightPx,
        })),
      }),
    );

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.headers.authorization !== `Bearer ${testToken}`) {
      response
        .writeHead(404)
        .end(JSON.stringify({ code: "identification-unknown", message: "bad identification id" }));
      return;
    }
    requests.push(request.url ?? "");
    if (await intercept?.(request, response)) return;
    const jobId = /^\/metafiles\/(.+)$/.exec(request.url ?? "")?.[1];
    if (jobId !== undefined) {
      response.end(metafile(jobId));
      return;
    }
    const page = pages[Number(/^\/pages\/(\d+)$/.exec(request.url ?? "")?.[1]) - 1];
    if (page) sendBody(request, response, bodyOf(page.bands));
    else response.writeHead(404).end();
  };

  const listener = (request: IncomingMessage, response: ServerResponse) => void answer(request, response);
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `${options.tls ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    metafileUrl: (jobId) => `${origin}/metafiles/${jobId}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** The stand's window: a page that shows the engine, its line and its sheets as they print, and has the buttons. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { act, BadAction } from "./actions.ts";
import { dots, preview } from "./pictures.ts";
import { encodePng } from "./png.ts";
import type { EngineStand } from "./stand.ts";
import { viewOf } from "./view.ts";

export interface StandServer extends AsyncDisposable {
  readonly url: string;
}

/** How often it looks whether there is news. */
const newsMs = 100;
const requestBytesMax = 4096;
const dotsMax = 2048;

const files: Readonly<Record<string, readonly [file: string, type: string]>> = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/style.css": ["style.css", "text/css; charset=utf-8"],
  "/icon.svg": ["icon.svg", "image/svg+xml"],
  "/page.js": ["page.js", "text/javascript; charset=utf-8"],
};

/** Nothing but what this server itself gives: what a host or a job calls itself cannot become more than text. */
const headers = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function whole(query: URLSearchParams, name: string, most: number): number {
  const value = query.get(name) ?? "";
  if (!/^\d{1,6}$/.test(value) || Number(value) > most)
    throw new Refused(400, `${name} is a whole number from 0 to ${most}`);
  return Number(value);
}

/** `/sheets/ID/front/preview.png?from=&rows=`, in rows of the preview, or `/dots.png?x=&y=&width=&height=`. */
function picture(stand: EngineStand, url: URL): Buffer | undefined {
  const match = /^\/sheets\/(\d{1,9})\/(front|back)\/(preview|dots)\.png$/.exec(url.pathname);
  if (!match) return undefined;
  const side = stand.sheet(Number(match[1]))?.sides.find((one) => one.side === match[2]);
  if (!side) throw new Refused(404, "this sheet is not kept any more");
  const query = url.searchParams;
  if (match[3] === "preview") {
    const from = whole(query, "from", side.heightPx - 1);
    return encodePng(preview(side, from, Math.max(1, whole(query, "rows", side.heightPx))));
  }
  const [x, y] = [whole(query, "x", side.widthPx - 1), whole(query, "y", side.heightPx - 1)];
  const [width, height] = [whole(query, "width", dotsMax), whole(query, "height", dotsMax)];
  return encodePng(dots(side, x, y, Math.max(1, width), Math.max(1, height)));
}

/** Sends the view, and again whenever it is another, as server-sent events, until the browser goes. */
function sendEvents(stand: EngineStand, response: ServerResponse): void {
  response.writeHead(200, { ...headers, "content-type": "text/event-stream" });
  let sent = "";
  const send = (): void => {
    const view = JSON.stringify(viewOf(stand));
    if (view === sent || response.writableNeedDrain) return;
    sent = view;
    response.write(`data: ${view}\n\n`);
  };
  send();
  const timer = setInterval(send, newsMs);
  response.once("close", () => clearInterval(timer));
}

async function doAction(stand: EngineStand, request: IncomingMessage): Promise<void> {
  // A page from elsewhere may post forms here, but no JSON without asking first, which nobody answers.
  if (request.headers["content-type"] !== "application/json") throw new Refused(415, "actions are JSON");
  if (Number(request.headers["content-length"] ?? Infinity) > requestBytesMax)
    throw new Refused(413, "an action is short");
  try {
    act(stand, JSON.parse(await text(request)));
  } catch (error) {
    if (error instanceof BadAction || error instanceof SyntaxError) throw new Refused(400, error.message);
    throw error;
  }
}

async function answer(
  stand: EngineStand,
  hosts: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Else a name that somebody lets point here would open this page to his own.
  if (!hosts.includes(request.headers.host ?? ""))
    throw new Refused(403, "open this page by its own address");
  const url = new URL(request.url ?? "/", "http://stand");
  const send = (type: string, body: Uint8Array): void =>
    void response.writeHead(200, { ...headers, "content-type": type }).end(body);
  if (request.method === "POST" && url.pathname === "/actions") {
    await doAction(stand, request);
    response.writeHead(204, headers).end();
    return;
  }
  if (request.method !== "GET") throw new Refused(405, "only GET is known here");
  if (url.pathname === "/events") {
    sendEvents(stand, response);
    return;
  }
  const file = files[url.pathname];
  if (file) {
    send(file[1], await readFile(new URL(`page/${file[0]}`, import.meta.url)));
    return;
  }
  const png = picture(stand, url);
  if (!png) throw new Refused(404, "there is no such page");
  send("image/png", png);
}

/** Serves the stand's page on this machine alone; port 0: any that is free. Rejects when the port is taken. */
export async function serveStand(stand: EngineStand, port: number): Promise<StandServer> {
  let hosts: readonly string[] = [];
  const server = createServer((request, response) => {
    answer(stand, hosts, request, response).catch((error: unknown) => {
      const [status, message] =
        error instanceof Refused ? [error.status, error.message] : [500, "something is wrong with the stand"];
      response.writeHead(status, { ...headers, "content-type": "text/plain; charset=utf-8" });
      response.end(`${message}\n`);
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const { port: taken } = server.address() as AddressInfo;
  hosts = [`127.0.0.1:${taken}`, `localhost:${taken}`];
  return {
    url: `http://127.0.0.1:${taken}/`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

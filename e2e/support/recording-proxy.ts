/** Somebody on the way: passes calls on, without TLS, and keeps all that is said, both ways. */
import {
  connect,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo } from "node:net";

export interface RecordingProxy extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  /** Everything that went by: headers (which are compressed on the wire) as `name: value` lines, messages as they are. */
  heard(): Buffer;
  /** Paths that were called, each once. */
  readonly paths: ReadonlySet<string>;
}

/** What belongs to one hop and not to the call. */
const isPseudo = (name: string): boolean => name.startsWith(":");

/** Works on the level of HTTP/2: on that of TCP the compression of headers would hide what they say. */
export async function recordingProxy(target: string): Promise<RecordingProxy> {
  const heard: Buffer[] = [];
  const paths = new Set<string>();
  const hear = (headers: IncomingHttpHeaders): OutgoingHttpHeaders => {
    for (const [name, value] of Object.entries(headers)) heard.push(Buffer.from(`${name}: ${value}\n`));
    return headers;
  };
  const upstream = connect(`http://${target}`);
  upstream.on("error", () => {});
  const server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    paths.add(String(headers[":path"]));
    const call = upstream.request({ ...hear(headers), ":authority": target }, { endStream: false });
    let trailers: OutgoingHttpHeaders = {};
    stream.on("data", (chunk: Buffer) => {
      heard.push(chunk);
      call.write(chunk);
    });
    stream.once("end", () => call.end());
    stream.once("close", () => call.close());
    stream.on("error", () => {});
    stream.once("wantTrailers", () => stream.sendTrailers(trailers));
    call.once("response", (answer, flags) => {
      const endStream = (flags & 1) === 1;
      stream.respond(hear(answer), { waitForTrailers: !endStream, endStream });
    });
    call.on("data", (chunk: Buffer) => {
      heard.push(chunk);
      stream.write(chunk);
    });
    call.once("trailers", (given) => {
      trailers = Object.fromEntries(Object.entries(hear(given)).filter(([name]) => !isPseudo(name)));
    });
    call.once("end", () => stream.end());
    call.on("error", () => stream.close());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard: () => Buffer.concat(heard),
    paths,
    [Symbol.asyncDispose]: async () => {
      upstream.destroy();
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

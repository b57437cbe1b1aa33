/** A real nats-server with JetStream, for tests. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { PlatenError } from "@platen/proto";

export interface NatsServerOptions {
  /** Lines to add to the server's configuration: users, TLS. */
  readonly config?: string;
  /** Default: true. */
  readonly jetStream?: boolean;
}

export interface NatsServer extends AsyncDisposable {
  /** `nats://127.0.0.1:port`; stays the same when the server is stopped and started again. */
  readonly url: string;
  /** Stops the server: at its leisure with SIGTERM, as a crash with SIGKILL. It keeps its data. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Starts it again. */
  start(): Promise<void>;
  /** Stops and starts it. */
  restart(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
}

/** Debian keeps servers where a user's PATH does not look. */
const extraFolders = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];

function executable(): string {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), ...extraFolders]) {
    const path = join(folder, "nats-server");
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  throw new PlatenError(
    "configuration",
    "nats-server is not installed. On Debian or Ubuntu: apt-get install -y --no-install-recommends nats-server. Elsewhere: put a nats-server of version 2.9.10 or later on the PATH.",
  );
}

/** Starts a server on a free loopback port, with a temporary folder of its own that goes when it is disposed of. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const path = executable();
  const dir = await mkdtemp(join(tmpdir(), "platen-nats-"));
  let running: Running | undefined;
  // The server picks a port the first time, and keeps it.
  let port = -1;
  const start = async () => {
    if (running) return;
    const config = join(dir, "nats.conf");
    const lines = [
      `listen: "127.0.0.1:${port}"`,
      ...(options.jetStream === false
        ? []
        : [`jetstream { store_dir: ${JSON.stringify(join(dir, "jetstream"))} }`]),
      options.config ?? "",
    ];
    await writeFile(config, lines.join("\n"));
    running = await run(path, config);
    port = running.port;
  };
  const stop = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM") => {
    await running?.stop(signal);
    running = undefined;
  };
  try {
    await start();
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    stop,
    start,
    restart: async (signal) => {
      await stop(signal);
      await start();
    },
    [Symbol.asyncDispose]: async () => {
      await stop("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}

interface Running {
  readonly port: number;
  stop(signal: NodeJS.Signals): Promise<void>;
}

/** Runs the server and resolves when it says that it is ready. */
async function run(path: string, config: string): Promise<Running> {
  const child: ChildProcess = spawn(path, ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  exited.catch(() => {});
  const killWithParent = () => child.kill("SIGKILL");
  process.once("exit", killWithParent);
  child.once("exit", () => process.off("exit", killWithParent));

  const log: string[] = [];
  let port: number | undefined;
  for await (const line of createInterface({ input: child.stderr! })) {
    log.push(line);
    port ??= Number(/Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(line)?.[1]) || undefined;
    if (port !== undefined && line.includes("Server is ready")) break;
  }
  // The pipe must be emptied, or the server would block on its log.
  child.stderr!.resume();
  if (port === undefined) throw new Error(`nats-server did not start:\n${log.join("\n")}`);
  return {
    port,
    async stop(signal) {
      child.kill(signal);
      await exited;
    },
  };
}

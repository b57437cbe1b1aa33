/** Puts the roles of the backend together from a configuration: with `compose/`, the one place that sees every layer. */
import { join } from "node:path";
import { loadTls, type PlatenError, requireTlsUnlessLoopback } from "@platen/proto";
import { openStorage, type StorageConfig } from "./adapters/storage.ts";
import { Registry } from "./app/registry.ts";
import { openSessionStores } from "./app/session-stores.ts";
import { startExecutors } from "./compose/executors.ts";
import { startFront } from "./compose/front.ts";
import { startResultStore } from "./compose/result-store.ts";
import { checkRoleTls } from "./compose/role-trust.ts";
import type { Shared } from "./compose/shared.ts";
import type { BackendConfig, Role } from "./config.ts";

export interface RunningBackend extends AsyncDisposable {
  /** `host:port` of intake, controller and instructors; empty when this process plays none of these roles. */
  readonly grpcAddress: string;
  /** `host:port` that takes nothing but polls, without TLS; empty when none was asked for. */
  readonly pollAddress: string;
  /** Base URL of the result store; empty when this process does not play that role. */
  readonly resultUrl: string;
  /** Where this process's result store listens, as bound; empty when it has none. */
  readonly httpAddress: string;
  /** The executors in this process. */
  readonly executors: readonly { readonly id: string; readonly address: string }[];
  /** Leaves the registry, finishes requests under way, and hands jobs under way to other controllers. */
  drain(): Promise<void>;
}

export interface BackendOptions {
  /** Told of errors that nobody foresaw, and of what jobs wait for; default: standard error. */
  readonly log?: (error: PlatenError) => void;
}

const storageConfig = (config: BackendConfig): StorageConfig =>
  config.storage === "embedded"
    ? { kind: "embedded", dataDir: config.dataDir }
    : {
        kind: "nats",
        servers: config.natsServers,
        replicas: config.natsReplicas,
        blobs:
          config.blobs === "folder"
            ? { kind: "folder", dir: join(config.dataDir, "blobs") }
            : { kind: "object-store" },
        ...(config.natsCredentialsFile && { credentialsFile: config.natsCredentialsFile }),
        // Used where the servers are given as tls://.
        tls: { certFile: config.tlsCertFile, keyFile: config.tlsKeyFile, caFile: config.tlsCaFile },
        allowPlaintext: config.allowPlaintext,
      };

/** A sentence is enough, but for what nobody foresaw. */
const logToStderr = (error: PlatenError): void =>
  console.error(error.code === "internal" ? (error.cause ?? error) : `platen: ${error.message}`);

/** Starts the roles of `config.roles`; throws `configuration` or `plaintext-refused` before anything listens. */
export async function startBackend(
  config: BackendConfig,
  options: BackendOptions = {},
): Promise<RunningBackend> {
  const tls = await loadTls({
    certFile: config.tlsCertFile,
    keyFile: config.tlsKeyFile,
    caFile: config.tlsCaFile,
  });
  const secure = tls.cert !== undefined;
  for (const address of [config.listen, config.executorListen, config.httpListen]) {
    requireTlsUnlessLoopback(address, secure, config.allowPlaintext, "--allow-plaintext");
  }
  const plays = (role: Role): boolean => config.roles.includes(role);
  await checkRoleTls(config, plays, tls);
  await using stack = new AsyncDisposableStack();
  const storage = stack.use(await openStorage(storageConfig(config)));
  const shared: Shared = {
    config,
    storage,
    registry: await Registry.open(storage.keyValue, config.executorTtlMs),
    stores: await openSessionStores(storage, config.sessionTtlMs),
    tls,
    secure,
    log: options.log ?? logToStderr,
    now: Date.now,
    stack,
    draining: [],
  };

  const { httpAddress, resultUrl } = plays("result-store")
    ? await startResultStore(shared)
    : { httpAddress: "", resultUrl: "" };
  const executors = plays("executor") ? await startExecutors(shared, resultUrl) : [];
  const { grpcAddress, pollAddress } = await startFront(shared, plays, resultUrl);

  const running = stack.move();
  return {
    grpcAddress,
    pollAddress,
    httpAddress,
    resultUrl,
    executors,
    drain: async () => {
      for (const step of shared.draining) await step();
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

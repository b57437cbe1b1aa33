/** Puts the roles of the backend together from a configuration: the one place that sees every layer. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connectBalanced } from "@platen/balancer";
import {
  type BoundService,
  type Connection,
  clientCredentials,
  ConversionInstructorService,
  ConversionService,
  connect,
  DownloadInstructorService,
  loadTls,
  PlatenError,
  requireTlsUnlessLoopback,
  type RunningServer,
  serve,
  serverCredentials,
  type TlsMaterial,
} from "@platen/proto";
import { createHttpDownloader } from "./adapters/http-downloader.ts";
import { isPublicAddress } from "./adapters/public-address.ts";
import { openStorage, type StorageConfig } from "./adapters/storage.ts";
import { Controller } from "./app/controller.ts";
import { Documents, documentStoreName } from "./app/documents.ts";
import { Executor } from "./app/executor.ts";
import { Instructors } from "./app/instructors.ts";
import { Intake } from "./app/intake.ts";
import { Jobs } from "./app/jobs.ts";
import { PrintQueue } from "./app/print-queue.ts";
import { PrinterLinks } from "./app/printer-links.ts";
import { Printers } from "./app/printers.ts";
import { Reaper } from "./app/reaper.ts";
import { type Announcement, Registry, type ServiceName } from "./app/registry.ts";
import { ResultStore } from "./app/result-store.ts";
import { openSessionStores, type SessionStores } from "./app/session-stores.ts";
import { SourceDownloader } from "./app/source-downloader.ts";
import { Updates } from "./app/updates.ts";
import type { BackendConfig, Role } from "./config.ts";
import { parsePrinterId } from "./domain/ids.ts";
import { executorService } from "./grpc/executor.ts";
import { instructorServices } from "./grpc/instructors.ts";
import { intakeService } from "./grpc/intake.ts";
import { pollOnlyService, printerQueueService } from "./grpc/printer-queue.ts";
import { printerUpdateService, updateService } from "./grpc/updates.ts";
import { type BundleSource, serveResults } from "./http/result-server.ts";
import type { Storage } from "./ports/storage.ts";
import { createConverter } from "./render/converter.ts";

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
  /** Told of errors that nobody foresaw; default: standard error. */
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

/** What all roles in a process share. */
interface Shared {
  readonly config: BackendConfig;
  readonly storage: Storage;
  readonly registry: Registry;
  readonly stores: SessionStores;
  readonly tls: TlsMaterial;
  readonly secure: boolean;
  readonly log: (error: PlatenError) => void;
  readonly now: () => number;
  /** Ended in reverse order when the backend is disposed. */
  readonly stack: AsyncDisposableStack;
  /** Run when the backend drains, in order. */
  readonly draining: (() => Promise<void>)[];
}

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
  await using stack = new AsyncDisposableStack();
  const storage = stack.use(await openStorage(storageConfig(config)));
  const shared: Shared = {
    config,
    storage,
    registry: await Registry.open(storage.keyValue, config.executorTtlMs),
    stores: await openSessionStores(storage, config.sessionTtlMs),
    tls,
    secure,
    log: options.log ?? ((error) => console.error(error.cause ?? error)),
    now: Date.now,
    stack,
    draining: [],
  };
  const plays = (role: Role): boolean => config.roles.includes(role);

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

/** An id that no other process has, for the registry and for people. */
const processId = (): string =>
  `${hostname()
    .replace(/[^A-Za-z0-9-]/g, "-")
    .slice(0, 24)}-${randomBytes(3).toString("hex")}`;

async function announce(
  shared: Shared,
  service: ServiceName,
  id: string,
  address: string,
): Promise<Announcement> {
  const announcement = shared.stack.use(await shared.registry.announce(service, { id, address }));
  shared.draining.unshift(() => announcement.withdraw());
  return announcement;
}

function balanced(shared: Shared, service: ServiceName): Connection {
  const { config, registry, tls, secure, stack } = shared;
  const policy = service === "executors" ? config.balancing : "round_robin";
  return stack.use(
    connectBalanced(service, { directory: registry, policy, credentials: clientCredentials(tls, secure) }),
  );
}

/** Bundles for printers that show the update key of their own key. */
async function bundleSource({ storage, config, now }: Shared): Promise<BundleSource> {
  const updates = await Updates.open(storage.keyValue, storage.blobs, now);
  const printers = await Printers.open(storage.keyValue, config.enrolmentKey, now);
  return async (sha256, printerId, updateKey) => {
    await printers.authenticateFetch(parsePrinterId(printerId), updateKey, sha256);
    const blob = await updates.bytes(sha256);
    if (!blob) throw new PlatenError("update-unknown", "there is no such bundle");
    return blob;
  };
}

async function startResultStore(shared: Shared): Promise<{ httpAddress: string; resultUrl: string }> {
  const { config, stores, now, tls, log, stack } = shared;
  const server = stack.use(
    await serveResults(new ResultStore(stores, now), {
      listen: config.httpListen,
      bundles: await bundleSource(shared),
      tls,
      log,
    }),
  );
  const resultUrl = (config.resultUrl ?? server.url).replace(/\/+$/, "");
  await announce(shared, "result-stores", processId(), resultUrl);
  return { httpAddress: new URL(server.url).host, resultUrl };
}

/** The base URL of some result store that lives: this process's own, or one from the registry. */
function resultStoreUrl(shared: Shared, own: string): () => string {
  if (own) return () => own;
  const stop = new AbortController();
  let urls: readonly string[] = [];
  let turn = 0;
  const following = (async () => {
    for await (const endpoints of shared.registry.watch("result-stores", stop.signal))
      urls = endpoints.map((one) => one.address);
  })().catch((error: unknown) => shared.log(error as PlatenError));
  shared.stack.defer(async () => {
    stop.abort();
    await following;
  });
  return () => {
    const url = urls[turn++ % urls.length];
    if (url === undefined) throw new PlatenError("unavailable", "no result store is running");
    return url;
  };
}

/** Folders of processes that died with work under way are removed by the next one that starts. */
async function workFolder(tempDir: string): Promise<AsyncDisposable & { path: string }> {
  await mkdir(tempDir, { recursive: true });
  for (const name of await readdir(tempDir)) {
    const pid = Number(/^process-(\d+)-/.exec(name)?.[1]);
    if (pid && !isAlive(pid)) await rm(join(tempDir, name), { recursive: true, force: true });
  }
  const path = join(tempDir, `process-${process.pid}-${randomBytes(3).toString("hex")}`);
  await mkdir(path);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function startExecutors(shared: Shared, ownResultUrl: string) {
  const { config, storage, stores, tls, log, now, stack } = shared;
  const work = stack.use(await workFolder(config.tempDir));
  const converter = stack.use(
    createConverter({
      workers: config.renderWorkers,
      openTimeoutMs: config.renderOpenTimeoutMs,
      pageTimeoutMs: config.renderPageTimeoutMs,
      memoryLimitBytes: config.renderMemoryLimitBytes,
      tempDir: work.path,
    }),
  );
  const web = createHttpDownloader({
    maxBytes: config.downloadMaxBytes,
    totalTimeoutMs: config.downloadTimeoutMs,
    mayConnectTo: config.downloadAllowPrivate ? () => true : isPublicAddress,
    ...(tls.ca && { ca: tls.ca }),
  });
  const executor = new Executor({
    stores,
    downloader: new SourceDownloader(await storage.blobs.store(documentStoreName), web),
    converter,
    resultUrl: resultStoreUrl(shared, ownResultUrl),
    tempDir: work.path,
    now,
    tokenTtlMs: config.tokenTtlMs,
    downloadMaxBytes: config.downloadMaxBytes,
  });
  const colon = config.executorListen.lastIndexOf(":");
  const [host, firstPort] = [
    config.executorListen.slice(0, colon),
    Number(config.executorListen.slice(colon + 1)),
  ];
  const name = processId();
  const executors: { id: string; address: string }[] = [];
  for (let n = 0; n < config.executors; n++) {
    const id = `${name}-${n + 1}`;
    const address = `${host}:${firstPort === 0 ? 0 : firstPort + n}`;
    const server = stack.use(
      await serve([executorService(executor, id)], { address, credentials: serverCredentials(tls), log }),
    );
    const advertised = config.executorAdvertiseHost
      ? `${config.executorAdvertiseHost}:${server.address.slice(server.address.lastIndexOf(":") + 1)}`
      : server.address;
    await announce(shared, "executors", id, advertised);
    shared.draining.push(() => server.drain());
    executors.push({ id, address: advertised });
  }
  return executors;
}

/** [0112]: polls are cheap and say nothing worth stealing; where all else goes over TLS they may go without. */
async function servePolls({ stack, log }: Shared, address: string, service: BoundService): Promise<string> {
  return stack.use(await serve([service], { address, credentials: serverCredentials({}), log })).address;
}

/** How long a front that drains waits for calls under way. */
const frontGraceMs = 3000;

/** Intake, controller and instructors share one gRPC server. */
async function startFront(
  shared: Shared,
  plays: (role: Role) => boolean,
  ownResultUrl: string,
): Promise<{ grpcAddress: string; pollAddress: string }> {
  if (!plays("intake") && !plays("controller") && !plays("instructors"))
    return { grpcAddress: "", pollAddress: "" };
  const { config, storage, tls, log, now, stack } = shared;
  const services: BoundService[] = [];
  const executors = balanced(shared, "executors").client(ConversionService);
  if (plays("instructors")) services.push(...instructorServices(new Instructors(executors)));

  const jobs = await Jobs.open(storage.keyValue, { retentionMs: config.jobRetentionMs, now });
  const printers = await Printers.open(storage.keyValue, config.enrolmentKey, now);
  const queue = await PrintQueue.open(storage.keyValue);
  const instructions = await storage.queues.queue("instructions", { leaseMs: config.jobLeaseMs });
  const documents = await Documents.open({
    keyValue: storage.keyValue,
    blobs: storage.blobs,
    jobs,
    maxBytes: config.uploadMaxBytes,
    now,
  });
  const intake = await Intake.open({
    keyValue: storage.keyValue,
    jobs,
    documents,
    printers,
    instructions,
    retentionMs: config.jobRetentionMs,
    now,
  });
  const draining = new AbortController();
  const updates = await Updates.open(storage.keyValue, storage.blobs, now);
  if (plays("intake"))
    services.push(intakeService(intake, draining.signal), updateService(updates, config.operatorKey));
  let pollAddress = "";
  if (plays("controller")) {
    const queueing = { printers, queue, executors, allowPlaintext: config.allowPlaintext, now };
    const resultUrl = resultStoreUrl(shared, ownResultUrl);
    const updating = { updates, printers, resultUrl, intervalMs: config.updateIntervalMs };
    services.push(printerQueueService(queueing), printerUpdateService(updating));
    if (config.pollListen)
      pollAddress = await servePolls(shared, config.pollListen, pollOnlyService(queueing));
  }

  const server: RunningServer = stack.use(
    await serve(services, { address: config.listen, credentials: serverCredentials(tls), log }),
  );
  shared.draining.push(() => {
    draining.abort();
    // Conversions may last: whoever instructed them comes again elsewhere, and they go on.
    return Promise.race([server.drain(), delay(frontGraceMs, undefined, { ref: false })]);
  });
  const advertised = config.advertise ?? server.address;
  if (plays("instructors")) await announce(shared, "instructors", processId(), advertised);

  if (plays("controller")) {
    const instructors = balanced(shared, "instructors");
    const connectPrinter = (address: string): Connection => {
      requireTlsUnlessLoopback(address, shared.secure, config.allowPlaintext, "--allow-plaintext");
      return connect(address, clientCredentials(tls, shared.secure));
    };
    const links = new PrinterLinks({
      printers,
      queue,
      connectPrinter,
      patienceMs: config.printerPatienceMs,
      now,
    });
    const controller = new Controller({
      instructions,
      jobs,
      documents,
      printers,
      links,
      executors,
      now,
      log,
      downloadInstructor: instructors.client(DownloadInstructorService),
      conversionInstructor: instructors.client(ConversionInstructorService),
      leaseMs: config.jobLeaseMs,
      cancelPatienceMs: config.cancelPatienceMs,
    });
    const reaper = new Reaper({
      stores: shared.stores,
      jobs,
      intake,
      documents,
      executors,
      now,
      graceMs: config.reapGraceMs,
      log,
    });
    startLoops(shared, [
      (signal) => controller.run(signal),
      (signal) => reaper.run(config.reapIntervalMs, signal),
    ]);
  }
  return { grpcAddress: advertised, pollAddress };
}

/** Runs loops until the backend drains or is disposed. */
function startLoops(shared: Shared, loops: readonly ((signal: AbortSignal) => Promise<void>)[]): void {
  const stop = new AbortController();
  const running = loops.map((loop) =>
    loop(stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) shared.log(error as PlatenError);
    }),
  );
  const end = async () => {
    stop.abort(new PlatenError("canceled", "the backend is shutting down"));
    await Promise.all(running);
  };
  shared.stack.defer(end);
  shared.draining.unshift(end);
}

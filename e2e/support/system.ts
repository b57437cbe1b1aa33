/**
 * Whole systems to try the flow on: all roles in this process on the embedded storage, or every role as two processes of its
 * own over NATS. Real gRPC, real stores, real renderers in both.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type BalancingPolicy, connectBalanced } from "@platen/balancer";
import {
  type Connection,
  connect,
  clientCredentials,
  IntakeService,
  loadTls,
  type ServiceClient,
} from "@platen/proto";
import { openStorage, type StorageConfig } from "../../backend/src/adapters/storage.ts";
import { Registry } from "../../backend/src/app/registry.ts";
import { openSessionStores } from "../../backend/src/app/session-stores.ts";
import { startBackend } from "../../backend/src/compose.ts";
import { type BackendConfig, parseBackendConfig, type Role } from "../../backend/src/config.ts";
import { dbIndexOf, type Session } from "../../backend/src/domain/ids.ts";
import type { Storage } from "../../backend/src/ports/storage.ts";
import { type NatsServer, startNatsServer } from "../../backend/src/testing/nats-server.ts";

export interface BackendProcess extends AsyncDisposable {
  /** As the process announced itself. */
  readonly ready: {
    readonly grpcAddress: string;
    readonly pollAddress: string;
    readonly httpAddress: string;
    readonly resultUrl: string;
    readonly executors: { id: string; address: string }[];
  };
  readonly process: ChildProcess;
  /** SIGKILL, and gone. */
  kill(): Promise<void>;
  /** SIGTERM, and gone when it has finished what it had under way. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface TestSystem extends AsyncDisposable {
  /** Where users and printers call. With several of a role, one of them. */
  readonly intakeAddress: string;
  readonly controllerAddress: string;
  /** Where printers poll without TLS; empty when the settings name no such listener. */
  readonly pollAddress: string;
  /** Base URL of a result store. */
  readonly resultUrl: string;
  readonly intake: ServiceClient<typeof IntakeService>;
  readonly storage: Storage;
  /** Executors that the system started with. */
  readonly executorIds: readonly string[];
  /** The executors behind the balancer, as the instructors see them. */
  executors(policy: BalancingPolicy): Connection;
  /** One more executor, in a process of its own. */
  addExecutor(settings?: Partial<BackendConfig>): Promise<BackendProcess>;
  /** One more process, of these roles. */
  addProcess(...roles: Role[]): Promise<BackendProcess>;
  /** The processes of a role, where roles are processes; else empty. */
  readonly processes: readonly (BackendProcess & { readonly role: Role })[];
  /** The NATS server, where there is one. */
  readonly nats?: NatsServer;
  /** Keys of what the stores hold of a session, in any of them. */
  leftovers(session: Session, identificationId?: string): Promise<string[]>;
}

const main = fileURLToPath(new URL("../../backend/src/main.ts", import.meta.url));

/** Settings that suit tests: ports of the system's choosing, quick leases, small pools. */
const testSettings = (dir: string): Parameters<typeof parseBackendConfig>[0] => ({
  listen: "127.0.0.1:0",
  httpListen: "127.0.0.1:0",
  dataDir: join(dir, "data"),
  tempDir: join(dir, "temp"),
  renderWorkers: 1,
  jobLeaseMs: 3000,
  executorTtlMs: 3000,
  cancelPatienceMs: 3000,
  downloadAllowPrivate: true,
});

/** `platen serve` with these settings, ready. */
async function startProcess(settings: object, dir: string): Promise<BackendProcess> {
  const config = join(dir, `config-${Math.random().toString(36).slice(2)}.json`);
  await writeFile(config, JSON.stringify(settings));
  const child = spawn(process.execPath, [main, "serve", "--config", config, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done) throw new Error(`platen serve ended before it was ready: ${JSON.stringify(settings)}`);
  child.stdout.resume();
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await exited;
  };
  return {
    ready: JSON.parse(first.value) as BackendProcess["ready"],
    process: child,
    kill: () => end("SIGKILL"),
    [Symbol.asyncDispose]: () => end("SIGTERM"),
  };
}

async function leftoversIn(storage: Storage, session: Session, identificationId?: string): Promise<string[]> {
  const stores = await openSessionStores(storage, 3_600_000);
  const prints = await storage.keyValue.bucket("prints");
  const owners = new Set([dbIndexOf(session) as string, identificationId]);
  const left: string[] = [];
  const found = (store: string, key: string) => left.push(`${store}: ${key}`);
  const { sessions, tokens, results, pages, sources, converted } = stores;
  for (const [name, records] of Object.entries({ sessions, tokens })) {
    if (await records.get(dbIndexOf(session))) found(name, dbIndexOf(session));
  }
  for await (const { key, value } of results.all()) {
    if (value.jobId === session.jobId && value.printerId === session.printerId) owners.add(key);
  }
  for (const id of owners) {
    if (id === undefined) continue;
    if (await results.get(id)) found("results", id);
    for await (const { key } of pages.all(id)) found("pages", key);
    for await (const { key } of sources.list(id)) found("sources", key);
    for await (const { key } of converted.list(id)) found("converted", key);
  }
  for await (const { key } of prints.entries(session.printerId))
    if (key.endsWith(session.jobId)) found("prints", key);
  return left;
}

async function systemOver(
  stack: AsyncDisposableStack,
  storageConfig: StorageConfig,
  dir: string,
  parts: Pick<
    TestSystem,
    "intakeAddress" | "controllerAddress" | "pollAddress" | "resultUrl" | "processes" | "executorIds" | "nats"
  > & { settings: Parameters<typeof parseBackendConfig>[0] },
): Promise<TestSystem> {
  const storage = stack.use(await openStorage(storageConfig));
  const registry = await Registry.open(storage.keyValue, 3000);
  const { tlsCertFile, tlsKeyFile, tlsCaFile } = parts.settings;
  // One without an authority signed itself.
  const caFile = tlsCaFile ?? tlsCertFile;
  const tls = await loadTls({ certFile: tlsCertFile, keyFile: tlsKeyFile, caFile });
  const credentials = clientCredentials(tls, tls.cert !== undefined);
  const intake = stack.use(connect(parts.intakeAddress, credentials)).client(IntakeService);
  const { settings, ...rest } = parts;
  const moved = stack.move();
  return {
    ...rest,
    intake,
    storage,
    executors: (policy) => connectBalanced("executors", { directory: registry, policy, credentials }),
    addExecutor: (more = {}) =>
      startProcess({ ...settings, roles: ["executor"], executors: 1, ...more }, dir),
    addProcess: (...roles) => startProcess({ ...settings, roles }, dir),
    leftovers: (session, identificationId) => leftoversIn(storage, session, identificationId),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

async function folder(stack: AsyncDisposableStack): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "platen-e2e-"));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** All roles in this process, two executors, embedded storage. */
export async function embeddedSystem(settings: Partial<BackendConfig> = {}): Promise<TestSystem> {
  await using stack = new AsyncDisposableStack();
  const dir = await folder(stack);
  const all = { ...testSettings(dir), ...settings };
  const backend = stack.use(await startBackend(parseBackendConfig(all)));
  return await systemOver(stack, { kind: "embedded", dataDir: join(dir, "data") }, dir, {
    intakeAddress: backend.grpcAddress,
    controllerAddress: backend.grpcAddress,
    pollAddress: backend.pollAddress,
    resultUrl: backend.resultUrl,
    executorIds: backend.executors.map((one) => one.id),
    processes: [],
    settings: all,
  });
}

/** All roles in one process of its own, `platen serve`, on embedded storage. */
export async function servedSystem(): Promise<TestSystem & { crash(): Promise<void> }> {
  await using stack = new AsyncDisposableStack();
  const dir = await folder(stack);
  let running = await startProcess(testSettings(dir), dir);
  stack.defer(() => running[Symbol.asyncDispose]());
  const { grpcAddress, pollAddress, resultUrl, executors } = running.ready;
  // Where printers and users know it to be.
  const settings = { ...testSettings(dir), listen: grpcAddress, httpListen: new URL(resultUrl).host };
  const system = await systemOver(stack, { kind: "embedded", dataDir: join(dir, "data") }, dir, {
    intakeAddress: grpcAddress,
    controllerAddress: grpcAddress,
    pollAddress,
    resultUrl,
    executorIds: executors.map(({ id }) => id),
    processes: [],
    settings,
  });
  return {
    ...system,
    /** SIGKILL, and started again on the same data and addresses. */
    crash: async () => {
      await running.kill();
      running = await startProcess(settings, dir);
    },
  };
}

/** So many processes of each role over a real nats-server, blobs in a shared folder. */
export async function distributedSystem(
  settings: Partial<BackendConfig> = {},
  processesOfEachRole = 2,
): Promise<TestSystem> {
  await using stack = new AsyncDisposableStack();
  const dir = await folder(stack);
  const nats = stack.use(await startNatsServer());
  const all = {
    ...testSettings(dir),
    storage: "nats" as const,
    natsServers: [nats.url],
    executors: 1,
    ...settings,
  };
  const wanted: Role[] = ["result-store", "executor", "instructors", "controller", "intake"];
  const processes = await Promise.all(
    wanted
      .flatMap((role) => Array<Role>(processesOfEachRole).fill(role))
      .map(async (role) => ({ ...(await startProcess({ ...all, roles: [role] }, dir)), role })),
  );
  stack.defer(async () => {
    await Promise.all(processes.map((one) => one[Symbol.asyncDispose]()));
  });
  const readyOf = (role: Role) => processes.find((one) => one.role === role)!.ready;
  const storage: StorageConfig = {
    kind: "nats",
    servers: [nats.url],
    blobs: { kind: "folder", dir: join(dir, "data", "blobs") },
  };
  return await systemOver(stack, storage, dir, {
    intakeAddress: readyOf("intake").grpcAddress,
    controllerAddress: readyOf("controller").grpcAddress,
    pollAddress: readyOf("controller").pollAddress,
    resultUrl: readyOf("result-store").resultUrl,
    executorIds: processes.flatMap((one) => one.ready.executors.map(({ id }) => id)),
    processes,
    nats,
    settings: all,
  });
}

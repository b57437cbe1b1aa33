/** The executors in this process: each a server of its own, one converter for all. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { serve, serverCredentials } from "@platen/proto";
import { createHttpDownloader } from "../adapters/http-downloader.ts";
import { isPublicAddress } from "../adapters/public-address.ts";
import { documentStoreName } from "../app/documents.ts";
import { Executor } from "../app/executor.ts";
import { SourceDownloader } from "../app/source-downloader.ts";
import { executorService } from "../grpc/executor.ts";
import { createConverter } from "../render/converter.ts";
import { resultStoreUrl } from "./result-store.ts";
import { announce, listening, processId, type Shared } from "./shared.ts";

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

export async function startExecutors(shared: Shared, ownResultUrl: string) {
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
      await listening(
        "--executor-listen",
        serve([executorService(executor, id)], { address, credentials: serverCredentials(tls), log }),
      ),
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

/** Opens the storage that the roles share, from its configuration. */
import { join } from "node:path";
import type { Storage } from "../ports/storage.ts";
import { openFolderBlobStores } from "./embedded/folder-blob.ts";
import { openSqliteKeyValueStore } from "./embedded/sqlite-key-value.ts";
import { openSqliteWorkQueues } from "./embedded/sqlite-work-queue.ts";
import type { NatsConfig } from "./nats/connection-options.ts";
import { NatsLink } from "./nats/link.ts";
import { openNatsKeyValueStore } from "./nats/nats-key-value.ts";
import { openNatsBlobStores } from "./nats/nats-object-blob.ts";
import { openNatsWorkQueues } from "./nats/nats-work-queue.ts";

/** One machine: a SQLite file and a folder of blobs in `dataDir`, for any number of processes. */
export interface EmbeddedStorageConfig {
  readonly kind: "embedded";
  readonly dataDir: string;
}

/** Any number of machines: NATS, and for blobs a folder that all of them share, or NATS as well. */
export interface NatsStorageConfig extends NatsConfig {
  readonly kind: "nats";
  readonly blobs: { readonly kind: "folder"; readonly dir: string } | { readonly kind: "object-store" };
}

export type StorageConfig = EmbeddedStorageConfig | NatsStorageConfig;

/** Opens the storage, and makes what does not exist. Throws `configuration`, `plaintext-refused` or `unavailable`. */
export async function openStorage(config: StorageConfig): Promise<Storage> {
  await using stack = new AsyncDisposableStack();
  const parts =
    config.kind === "embedded" ? await openEmbedded(config, stack) : await openNats(config, stack);
  const opened = stack.move();
  return { ...parts, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

type Parts = Omit<Storage, typeof Symbol.asyncDispose>;

async function openEmbedded({ dataDir }: EmbeddedStorageConfig, stack: AsyncDisposableStack): Promise<Parts> {
  return {
    keyValue: stack.use(await openSqliteKeyValueStore(dataDir)),
    queues: stack.use(await openSqliteWorkQueues(dataDir)),
    blobs: stack.use(await openFolderBlobStores(join(dataDir, "blobs"))),
  };
}

async function openNats(config: NatsStorageConfig, stack: AsyncDisposableStack): Promise<Parts> {
  const link = stack.use(await NatsLink.open(config));
  return {
    keyValue: stack.use(openNatsKeyValueStore(link)),
    queues: stack.use(openNatsWorkQueues(link)),
    blobs: stack.use(
      config.blobs.kind === "folder"
        ? await openFolderBlobStores(config.blobs.dir)
        : openNatsBlobStores(link),
    ),
  };
}

/** Storage of each kind for tests of what is built on it: fresh, real, and gone afterwards. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStorage, type StorageConfig } from "../adapters/storage.ts";
import type { Storage } from "../ports/storage.ts";
import { startNatsServer } from "./nats-server.ts";

export type StorageKind = StorageConfig["kind"];
export const storageKinds: readonly StorageKind[] = ["embedded", "nats"];

export interface TestStorage extends AsyncDisposable {
  readonly storage: Storage;
  /** Opens the same storage once more, as another process does; it is closed with this one. */
  another(): Promise<Storage>;
}

export async function openTestStorage(kind: StorageKind): Promise<TestStorage> {
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "platen-test-"));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const config: StorageConfig =
    kind === "embedded"
      ? { kind, dataDir: dir }
      : { kind, servers: [stack.use(await startNatsServer()).url], blobs: { kind: "folder", dir } };
  const open = async () => running.use(await openStorage(config));
  const running = stack.use(new AsyncDisposableStack());
  const storage = await open();
  const all = stack.move();
  return { storage, another: open, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

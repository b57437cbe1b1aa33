/** All that the roles share, in one: what an adapter opens and the composition root hands out. */
import type { BlobStores } from "./blob.ts";
import type { KeyValueStore } from "./key-value.ts";
import type { WorkQueues } from "./work-queue.ts";

/** Disposing of it closes all three. Abort what watches and takes first: what still runs then ends with `unavailable`. */
export interface Storage extends AsyncDisposable {
  readonly keyValue: KeyValueStore;
  readonly queues: WorkQueues;
  readonly blobs: BlobStores;
}

/** The result store in this process, and how executors and controllers find one. */
import { PlatenError } from "@platen/proto";
import { Printers } from "../app/printers.ts";
import { ResultStore } from "../app/result-store.ts";
import { Updates } from "../app/updates.ts";
import { parsePrinterId } from "../domain/ids.ts";
import { type BundleSource, serveResults } from "../http/result-server.ts";
import { announce, listening, processId, type Shared } from "./shared.ts";

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

export async function startResultStore(shared: Shared): Promise<{ httpAddress: string; resultUrl: string }> {
  const { config, stores, now, tls, log, stack } = shared;
  const server = stack.use(
    await listening(
      "--http-listen",
      serveResults(new ResultStore(stores, now), {
        listen: config.httpListen,
        bundles: await bundleSource(shared),
        tls,
        log,
      }),
    ),
  );
  const resultUrl = (config.resultUrl ?? server.url).replace(/\/+$/, "");
  await announce(shared, "result-stores", processId(), resultUrl);
  return { httpAddress: new URL(server.url).host, resultUrl };
}

/** The base URL of some result store that lives: this process's own, or one from the registry. */
export function resultStoreUrl(shared: Shared, own: string): () => string {
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

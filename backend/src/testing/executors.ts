/** Executors over stores that are real, with documents and renderers that are not. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { ConversionSettingsSchema, type ErrorCode, PlatenError } from "@platen/proto";
import { expect } from "vitest";
import { openStorage } from "../adapters/storage.ts";
import type { ConversionProgress } from "../app/conversion.ts";
import { Executor } from "../app/executor.ts";
import { ResultStore } from "../app/result-store.ts";
import { openSessionStores, type SessionStores } from "../app/session-stores.ts";
import { parseSession } from "../domain/ids.ts";
import type { Downloader } from "../ports/downloader.ts";
import { createFakeConverter, type FakeConverter, type FakeConverterOptions } from "./fake-converter.ts";

export const session = parseSession({ jobId: "job-1", printerId: "printer-1" });
export const settings = create(ConversionSettingsSchema, {
  jobName: "a job",
  ticket: { printerResolutionDpi: 300 },
});
export const tokenTtlMs = 60_000;
export const documentUrl = "http://example.test/document.pdf";
export const aPdf = Buffer.from("%PDF-1.7 of a kind");
export const never = new AbortController().signal;

/** Answers every URL with the same bytes, or throws what it is told. */
const webOf = (content: Uint8Array | PlatenError): Downloader => ({
  open: async () => {
    if (content instanceof PlatenError) throw content;
    const bytes = (async function* () {
      yield content;
    })();
    return { declaredBytes: content.length, bytes, [Symbol.asyncDispose]: async () => {} };
  },
});

export const refusal = (code: ErrorCode): unknown => expect.objectContaining({ code });

export class TestExecutors implements AsyncDisposable {
  readonly stores: SessionStores;
  /** As a printer asks it. */
  readonly results: ResultStore;
  nowMs = 1_700_000_000_000;
  readonly #dataDir: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(stores: SessionStores, dataDir: string, resources: AsyncDisposableStack) {
    this.stores = stores;
    this.results = new ResultStore(stores, () => this.nowMs);
    this.#dataDir = dataDir;
    this.#resources = resources;
  }

  static async open(): Promise<TestExecutors> {
    await using made = new AsyncDisposableStack();
    const dataDir = await mkdtemp(join(tmpdir(), "platen-executor-"));
    made.defer(() => rm(dataDir, { recursive: true, force: true }));
    const storage = made.use(await openStorage({ kind: "embedded", dataDir }));
    return new TestExecutors(await openSessionStores(storage, 3_600_000), dataDir, made.move());
  }

  async executorWith(
    converter: FakeConverterOptions,
    content: Uint8Array | PlatenError = aPdf,
  ): Promise<{ executor: Executor; fake: FakeConverter }> {
    const fake = this.#resources.use(await createFakeConverter(converter));
    const executor = new Executor({
      stores: this.stores,
      downloader: webOf(content),
      converter: fake,
      resultUrl: () => "https://results.example.test",
      tempDir: join(this.#dataDir, "work"),
      now: () => this.nowMs,
      tokenTtlMs,
      downloadMaxBytes: 1000,
    });
    return { executor, fake };
  }

  /** Walks a session up to a downloaded document; resolves to its token. */
  async downloaded(executor: Executor): Promise<string> {
    const { token } = await executor.requestToken("t", session);
    await executor.download("d", session, documentUrl, "e1", never);
    return token;
  }

  /** Walks a session up to a finished conversion. */
  async converted(
    executor: Executor,
  ): Promise<Extract<ConversionProgress, { kind: "opened" }> & { token: string }> {
    const token = await this.downloaded(executor);
    const [opened] = await Array.fromAsync(executor.convert("c", session, settings, never));
    if (opened?.kind !== "opened") throw new Error("not opened first");
    return { token, ...opened };
  }

  /** Keys of all that the stores hold. */
  async everythingStored(): Promise<string[]> {
    const { sessions, tokens, results, pages, sources, converted } = this.stores;
    const left: string[] = [];
    for (const records of [sessions, tokens, results, pages])
      for await (const record of records.all()) left.push(record.key);
    for (const blobs of [sources, converted]) for await (const blob of blobs.list()) left.push(blob.key);
    return left;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

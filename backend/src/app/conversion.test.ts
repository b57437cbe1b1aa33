import { fromJsonString } from "@bufbuild/protobuf";
import { MetafileSchema, PlatenError } from "@platen/proto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { IdentificationId } from "../domain/ids.ts";
import type { Blob } from "../ports/blob.ts";
import { fakePage } from "../testing/fake-converter.ts";
import type { ConversionProgress } from "./conversion.ts";
import { pageBlobKey } from "./session-stores.ts";
import { never, refusal, session, settings, TestExecutors } from "../testing/executors.ts";

let bench: TestExecutors;
beforeEach(async () => {
  bench = await TestExecutors.open();
});
afterEach(() => bench[Symbol.asyncDispose]());

describe("convert request", () => {
  it("S1305, S1318: refuses without a session record", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    await expect(Array.fromAsync(executor.convert("c", session, settings, never))).rejects.toEqual(
      refusal("session-missing"),
    );
  });

  it("refuses before the download", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    await expect(Array.fromAsync(executor.convert("c", session, settings, never))).rejects.toEqual(
      refusal("source-missing"),
    );
  });

  it("S1308 to S1317: metafile first and final, then the pages; the source data are deleted", async () => {
    const sourceProfile = Uint8Array.of(1, 2, 3);
    const { executor } = await bench.executorWith({ pages: 3, sourceProfile });
    const token = await bench.downloaded(executor);
    const kinds: string[] = [];
    let firstMetafile: string | undefined;
    let identificationId = "" as IdentificationId;
    const metafile = async () =>
      Buffer.concat(
        await Array.fromAsync((await bench.results.metafile(identificationId, token)).bytes()),
      ).toString();
    for await (const progress of executor.convert("c", session, settings, never)) {
      kinds.push(progress.kind);
      if (progress.kind === "opened") {
        identificationId = progress.identificationId;
        firstMetafile = await metafile();
        expect(progress.metafileUrl).toBe(
          `https://results.example.test/v1/results/${identificationId}/metafile`,
        );
      }
    }
    expect(kinds).toEqual(["opened", "page", "page", "page", "completed"]);
    expect(await metafile()).toBe(firstMetafile);
    const parsed = fromJsonString(MetafileSchema, firstMetafile!);
    expect(parsed).toMatchObject({ identificationId, jobName: "a job", resolutionDpi: 300, sourceProfile });
    expect(parsed.pages.map((page) => page.url.split("/").slice(-2).join("/"))).toEqual([
      "pages/1",
      "pages/2",
      "pages/3",
    ]);
    expect(await Array.fromAsync(bench.stores.sources.list())).toEqual([]); // S1316
  });

  it("an executor that takes over goes on with the pages that are not ready, under the same identification id", async () => {
    const broken = await bench.executorWith({
      pages: 4,
      beforePage: async (page) => {
        if (page === 3) throw new PlatenError("unavailable", "this executor dies here");
      },
    });
    await bench.downloaded(broken.executor);
    const seen: ConversionProgress[] = [];
    const lost = async () => {
      const abort = new AbortController();
      for await (const progress of broken.executor.convert("c", session, settings, abort.signal)) {
        seen.push(progress);
        if (seen.length === 3) abort.abort();
      }
    };
    await expect(lost()).rejects.toThrow();

    const { executor, fake } = await bench.executorWith({ pages: 4 });
    const rest = await Array.fromAsync(executor.convert("c", session, settings, never));
    expect(fake.converted).toEqual([3, 4]);
    expect(rest[0]).toEqual(seen[0]);
    expect(rest.map((one) => (one.kind === "page" ? one.pageNumber : one.kind))).toEqual([
      "opened",
      1,
      2,
      3,
      4,
      "completed",
    ]);
  });

  it("a page that another executor made ready meanwhile stays as it is: a printer may be reading it", async () => {
    const slow = await bench.executorWith({
      pages: 2,
      beforePage: async (page) => {
        if (page !== 2) return;
        // Its request seemed lost, and came to another one.
        const { executor } = await bench.executorWith({ pages: 2 });
        await Array.fromAsync(executor.convert("c", session, settings, never));
        read = await bench.stores.converted.get(pageBlobKey(identificationId, 2));
      },
    });
    let identificationId = "";
    let read: Blob | undefined;
    await bench.downloaded(slow.executor);
    for await (const progress of slow.executor.convert("c", session, settings, never))
      if (progress.kind === "opened") ({ identificationId } = progress);
    expect(slow.fake.converted).toEqual([1, 2]);
    expect(Buffer.concat(await Array.fromAsync(read!.bytes()))).toEqual(Buffer.from(fakePage));
  });

  it.each([
    ["unavailable", undefined],
    ["document-damaged", { code: "document-damaged", message: "page 1 went wrong" }],
  ] as const)("a failure with %s tells printers that wait only if it stays", async (code, failure) => {
    const { executor } = await bench.executorWith({
      pages: 1,
      beforePage: async () => {
        throw new PlatenError(code, "page 1 went wrong");
      },
    });
    await bench.downloaded(executor);
    await expect(Array.fromAsync(executor.convert("c", session, settings, never))).rejects.toEqual(
      refusal(code),
    );
    const results = await Array.fromAsync(bench.stores.results.all());
    expect(results.map(({ value }) => value.failure)).toEqual([failure]);
  });

  it("a repeat after the end tells the same again without converting, another request is refused", async () => {
    const { executor, fake } = await bench.executorWith({ pages: 2 });
    const { identificationId } = await bench.converted(executor);
    const again = await Array.fromAsync(executor.convert("c", session, settings, never));
    expect(again[0]).toMatchObject({ kind: "opened", identificationId });
    expect(again.at(-1)).toEqual({ kind: "completed", pages: 2 });
    expect(fake.converted).toEqual([1, 2]);
    await expect(Array.fromAsync(executor.convert("c2", session, settings, never))).rejects.toEqual(
      refusal("conflict"),
    );
  });

  it("a document that does not open leaves no result", async () => {
    const { executor } = await bench.executorWith({
      pages: 1,
      openError: new PlatenError("document-password", "locked"),
    });
    await bench.downloaded(executor);
    await expect(Array.fromAsync(executor.convert("c", session, settings, never))).rejects.toEqual(
      refusal("document-password"),
    );
    expect(await Array.fromAsync(bench.stores.results.all())).toEqual([]);
  });
});

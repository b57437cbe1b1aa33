import { PlatenError } from "@platen/proto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fakePage } from "../testing/fake-converter.ts";
import type { ConversionProgress } from "./conversion.ts";
import { never, refusal, session, settings, tokenTtlMs, TestExecutors } from "../testing/executors.ts";

let bench: TestExecutors;
beforeEach(async () => {
  bench = await TestExecutors.open();
});
afterEach(() => bench[Symbol.asyncDispose]());

describe("result store", () => {
  it("S1504, S1506, S1508: unknown id, wrong token and expired token are one and the same refusal", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    const { identificationId, token } = await bench.converted(executor);
    const messages = new Set<string>();
    const refused = async (id: string, offered: string) => {
      const error = await bench.results.metafile(id, offered).catch((thrown: PlatenError) => thrown);
      expect(error).toEqual(refusal("identification-unknown"));
      messages.add((error as PlatenError).message);
    };
    await refused("0123456789abcdef", token); // S1504
    await refused(identificationId, "wrong");
    await refused(identificationId, "");
    bench.nowMs += tokenTtlMs;
    await refused(identificationId, token); // S1506
    expect(messages.size).toBe(1);
  });

  it("holds the request for a page until it is converted", async () => {
    const gate = Promise.withResolvers<void>();
    const { executor } = await bench.executorWith({
      pages: 2,
      beforePage: (page) => (page === 2 ? gate.promise : Promise.resolve()),
    });
    const token = await bench.downloaded(executor);
    const progress = executor.convert("c", session, settings, never)[Symbol.asyncIterator]();
    const opened = (await progress.next()).value as Extract<ConversionProgress, { kind: "opened" }>;
    let ready = false;
    const page = bench.results.page(opened.identificationId, 2, token, never).finally(() => (ready = true));
    await progress.next();
    expect(ready).toBe(false);
    gate.resolve();
    await progress.next();
    expect(Buffer.concat(await Array.fromAsync((await page).bytes()))).toEqual(Buffer.from(fakePage));
  });

  it("answers a held request with the conversion's error when the page will not come", async () => {
    const gate = Promise.withResolvers<void>();
    const { executor } = await bench.executorWith({
      pages: 2,
      beforePage: async (page) => {
        if (page !== 2) return;
        await gate.promise;
        throw new PlatenError("conversion-time-limit", "page 2 takes too long");
      },
    });
    const token = await bench.downloaded(executor);
    const progress = executor.convert("c", session, settings, never)[Symbol.asyncIterator]();
    const opened = (await progress.next()).value as Extract<ConversionProgress, { kind: "opened" }>;
    await progress.next();
    const page = bench.results.page(opened.identificationId, 2, token, never);
    const refused = expect(page).rejects.toEqual(refusal("conversion-time-limit"));
    gate.resolve();
    await expect(progress.next()).rejects.toEqual(refusal("conversion-time-limit"));
    await refused;
  });

  it("lets go of a held request when the session ends", async () => {
    const { executor } = await bench.executorWith({ pages: 2 });
    const token = await bench.downloaded(executor);
    for await (const progress of executor.convert("c", session, settings, never)) {
      if (progress.kind !== "opened") continue;
      const page = bench.results.page(progress.identificationId, 2, token, never);
      const refused = expect(page).rejects.toEqual(refusal("identification-unknown"));
      await executor.complete(session, undefined);
      await refused;
      break;
    }
  });

  it("refuses pages that the job does not have", async () => {
    const { executor } = await bench.executorWith({ pages: 2 });
    const { identificationId, token } = await bench.converted(executor);
    for (const page of [0, 3]) {
      await expect(bench.results.page(identificationId, page, token, never)).rejects.toEqual(
        refusal("page-unavailable"),
      );
    }
  });
});

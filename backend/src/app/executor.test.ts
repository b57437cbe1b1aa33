import { createHash } from "node:crypto";
import { PlatenError } from "@platen/proto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dbIndexOf, parseSession } from "../domain/ids.ts";
import {
  aPdf,
  documentUrl,
  never,
  refusal,
  session,
  settings,
  tokenTtlMs,
  TestExecutors,
} from "../testing/executors.ts";

const other = parseSession({ jobId: "job-1", printerId: "printer-2" });

let bench: TestExecutors;
beforeEach(async () => {
  bench = await TestExecutors.open();
});
afterEach(() => bench[Symbol.asyncDispose]());

describe("token request", () => {
  it("S1106 to S1110: creates the session record and answers with a token of 256 bits that no store holds", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    const { token, expiresMs } = await executor.requestToken("t", session);
    expect(Buffer.from(token, "base64url")).toHaveLength(32);
    expect(expiresMs).toBe(bench.nowMs + tokenTtlMs);
    const stored = await bench.stores.tokens.get(dbIndexOf(session));
    expect(stored?.value.hashes).toEqual([createHash("sha256").update(token).digest("hex")]);
    expect(
      JSON.stringify([(await bench.stores.sessions.get(dbIndexOf(session)))?.value, stored?.value]),
    ).not.toContain(token);
  });

  it("S1105, S1111: refuses a session that exists, and changes nothing of it", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    const before = [
      await bench.stores.sessions.get(dbIndexOf(session)),
      await bench.stores.tokens.get(dbIndexOf(session)),
    ];
    await expect(executor.requestToken("another", session)).rejects.toEqual(refusal("session-exists"));
    expect([
      await bench.stores.sessions.get(dbIndexOf(session)),
      await bench.stores.tokens.get(dbIndexOf(session)),
    ]).toEqual(before);
  });

  it("S1106: of ten simultaneous requests exactly one creates the session", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    const requests = Array.from({ length: 10 }, (_, n) => executor.requestToken(`t${n}`, session));
    const settled = await Promise.allSettled(requests);
    expect(settled.filter((one) => one.status === "fulfilled")).toHaveLength(1);
    for (const one of settled)
      if (one.status === "rejected") expect(one.reason).toEqual(refusal("session-exists"));
  });

  it("a repeat of the same request gets a token again, and the first one stays good", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    const { token: first, identificationId } = await bench.converted(executor);
    const { token: second } = await executor.requestToken("t", session);
    expect(second).not.toBe(first);
    for (const token of [first, second]) await bench.results.metafile(identificationId, token);
  });

  it("tells the sessions of one job on two printers apart", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    await executor.requestToken("t2", other);
    expect(dbIndexOf(session)).not.toBe(dbIndexOf(other));
  });
});

describe("download request", () => {
  it("S1206, S1213: refuses without a session record", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    await expect(executor.download("d", session, documentUrl, "e1", never)).rejects.toEqual(
      refusal("session-missing"),
    );
    expect(await bench.everythingStored()).toEqual([]);
  });

  it("S1208, S1212: hands on the download's error and stores nothing", async () => {
    const { executor } = await bench.executorWith({ pages: 1 }, new PlatenError("download-failed", "404"));
    await executor.requestToken("t", session);
    await expect(executor.download("d", session, documentUrl, "e1", never)).rejects.toEqual(
      refusal("download-failed"),
    );
    expect((await bench.stores.sessions.get(dbIndexOf(session)))?.value.download).toBeUndefined();
    expect(await bench.everythingStored()).toHaveLength(2);
  });

  it("S1209, S1210: saves the data and writes their path into the session record", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    const done = await executor.download("d", session, documentUrl, "e1", never);
    expect(done).toEqual({ sizeBytes: aPdf.length, mediaType: "application/pdf" });
    const download = (await bench.stores.sessions.get(dbIndexOf(session)))?.value.download;
    expect(download).toMatchObject({ executorId: "e1", requestId: "d" });
    expect((await bench.stores.sources.get(download!.sourceKey))?.sizeBytes).toBe(aPdf.length);
  });

  it("a repeat of the same request gets the first answer, another request the refusal", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    const first = await executor.download("d", session, documentUrl, "e1", never);
    expect(await executor.download("d", session, documentUrl, "e2", never)).toEqual(first);
    await expect(executor.download("d2", session, documentUrl, "e2", never)).rejects.toEqual(
      refusal("conflict"),
    );
  });

  it.each([
    ["empty data", new Uint8Array(0), "document-damaged"],
    ["data of an unknown kind", Buffer.from("just a text"), "document-format"],
    ["data over the size limit", Buffer.alloc(2000, "%PDF-"), "document-too-large"],
  ] as const)("refuses %s and keeps nothing of them", async (_, content, code) => {
    const { executor } = await bench.executorWith({ pages: 1 }, content);
    await executor.requestToken("t", session);
    await expect(executor.download("d", session, documentUrl, "e1", never)).rejects.toEqual(refusal(code));
    expect(await bench.everythingStored()).toHaveLength(2);
  });
});

describe("completion request", () => {
  it("S1605, S1610: refuses without a session record", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    await expect(executor.complete(session, undefined)).rejects.toEqual(refusal("session-missing"));
  });

  it("S1606 to S1608: nothing of the session remains in any store", async () => {
    const { executor } = await bench.executorWith({ pages: 3 });
    const { identificationId } = await bench.converted(executor);
    expect((await bench.everythingStored()).length).toBeGreaterThan(0);
    await executor.complete(session, identificationId);
    expect(await bench.everythingStored()).toEqual([]);
  });

  it.each(["after the token", "after the download", "in the middle of the conversion"])(
    "leaves nothing %s",
    async (when) => {
      const { executor } = await bench.executorWith({ pages: 3 });
      await executor.requestToken("t", session);
      if (when !== "after the token") await executor.download("d", session, documentUrl, "e1", never);
      if (when === "in the middle of the conversion") {
        for await (const progress of executor.convert("c", session, settings, never))
          if (progress.kind === "page") break;
      }
      await executor.complete(session, undefined);
      expect(await bench.everythingStored()).toEqual([]);
    },
  );

  it("a conversion that goes on after the session's end removes what it wrote", async () => {
    let ended = false;
    const { executor } = await bench.executorWith({
      pages: 3,
      beforePage: async (page) => {
        if (page === 2 && !ended) {
          ended = true;
          await executor.complete(session, undefined);
        }
      },
    });
    await bench.downloaded(executor);
    await expect(Array.fromAsync(executor.convert("c", session, settings, never))).rejects.toEqual(
      refusal("session-missing"),
    );
    expect(await bench.everythingStored()).toEqual([]);
  });

  it("does not delete the converted data of another session", async () => {
    const { executor } = await bench.executorWith({ pages: 1 });
    const { identificationId, token } = await bench.converted(executor);
    await executor.requestToken("t2", other);
    await executor.complete(other, identificationId);
    await bench.results.metafile(identificationId, token);
  });
});

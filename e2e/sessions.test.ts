/** Claim 1: two related requests of one session succeed on whichever executors they reach, and single requests spread evenly. */
import { create } from "@bufbuild/protobuf";
import { ConversionService, ConversionSettingsSchema, type ServiceClient } from "@platen/proto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newJobId, parseSession, type Session } from "../backend/src/domain/ids.ts";
import { stamps } from "./support/pdf.ts";
import { distributedSystem, embeddedSystem, type TestSystem } from "./support/system.ts";

type Executors = ServiceClient<typeof ConversionService>;

const timeoutMs = 20_000;
const settings = create(ConversionSettingsSchema, {
  ticket: {
    copies: 1,
    printerResolutionDpi: 300,
    numberUp: 1,
    sides: 1,
    printScaling: 1,
    printQuality: 4,
    printColorMode: 2,
  },
  mediaWidthUm: 10_000,
  mediaHeightUm: 10_000,
});

const newSession = (printerId: string): Session => parseSession({ jobId: newJobId(Date.now()), printerId });

/** Token, download and completion of one session: the executors that answered. */
async function walk(executors: Executors, documentUri: string): Promise<string[]> {
  const session = newSession("spread");
  const options = { timeoutMs };
  const token = await executors.requestToken({ requestId: "t", session }, options);
  const download = await executors.download({ requestId: "d", session, documentUri }, options);
  const complete = await executors.complete({ requestId: "c", session }, options);
  return [token.executorId, download.executorId, complete.executorId];
}

/** The first calls go to whichever connection is ready first: returns once `count` executors have answered. */
async function warmUp(executors: Executors, documentUri: string, count: number): Promise<void> {
  const answered = new Set<string>();
  while (answered.size < count) for (const id of await walk(executors, documentUri)) answered.add(id);
}

function countsOf(ids: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

describe.each([
  ["embedded", embeddedSystem],
  ["distributed", distributedSystem],
] as const)("sessions over the executors, %s", (_, start) => {
  let system: TestSystem;
  const documentUri = "platen:documents/shared-by-all";
  beforeAll(async () => {
    system = await start();
    const documents = await system.storage.blobs.store("documents");
    await documents.put("shared-by-all", ReadableStream.from([stamps(1)]));
  });
  afterAll(() => system?.[Symbol.asyncDispose]());

  const walks = async (
    policy: "round_robin" | "pick_first" | "least_loaded",
    sessions: number,
    atOnce: number,
  ) => {
    using connection = system.executors(policy);
    const executors = connection.client(ConversionService);
    await warmUp(executors, documentUri, policy === "pick_first" ? 1 : system.executorIds.length);
    const answered: string[] = [];
    for (let done = 0; done < sessions; done += atOnce) {
      const batch = Array.from({ length: atOnce }, () => walk(executors, documentUri));
      answered.push(...(await Promise.all(batch)).flat());
    }
    return countsOf(answered);
  };

  it("claim 7: round robin spreads the requests of 200 sessions evenly", async () => {
    const counts = await walks("round_robin", 200, 10);
    expect([...counts.keys()].toSorted()).toEqual([...system.executorIds].toSorted());
    for (const count of counts.values()) expect(count).toBe(600 / system.executorIds.length);
  });

  it("pick first sends all to one", async () => {
    expect([...(await walks("pick_first", 30, 10)).values()]).toEqual([90]);
  });

  it("claim 6: least loaded uses all executors", async () => {
    const counts = await walks("least_loaded", 100, 10);
    expect(counts.size).toBe(system.executorIds.length);
    for (const count of counts.values()) expect(count).toBeGreaterThan(300 / system.executorIds.length / 2);
  });

  it("claim 1: download and conversion of one session succeed on different executors", async () => {
    using connection = system.executors("round_robin");
    const executors = connection.client(ConversionService);
    await warmUp(executors, documentUri, system.executorIds.length);
    const session = newSession("apart");
    await executors.requestToken({ requestId: "t", session }, { timeoutMs });
    const download = await executors.download({ requestId: "d", session, documentUri }, { timeoutMs });
    const told: string[] = [];
    let converter = "";
    for await (const { progress, executorId } of executors.convert(
      { requestId: "c", session, settings },
      { timeoutMs },
    )) {
      converter = executorId;
      told.push(progress.case!);
    }
    expect(told).toEqual(["opened", "pageConverted", "completed"]);
    expect(converter).not.toBe(download.executorId);
    await executors.complete({ requestId: "e", session }, { timeoutMs });
    expect(await system.leftovers(session)).toEqual([]);
  });

  it("S1105, S1206, S1305, S1605: the refusals over the wire, whichever executor answers", async () => {
    using connection = system.executors("round_robin");
    const executors = connection.client(ConversionService);
    const unknown = newSession("refused");
    const requestId = "r";
    const refused = (call: Promise<unknown>, code: string) =>
      expect(call).rejects.toEqual(expect.objectContaining({ code }));
    for (let n = 0; n < system.executorIds.length; n++) {
      await refused(
        executors.download({ requestId, session: unknown, documentUri }, { timeoutMs }),
        "session-missing",
      );
      const conversion = executors.convert({ requestId, session: unknown, settings }, { timeoutMs });
      await refused(conversion[Symbol.asyncIterator]().next(), "session-missing");
      await refused(executors.complete({ requestId, session: unknown }, { timeoutMs }), "session-missing");
    }
    await executors.requestToken({ requestId: "first", session: unknown }, { timeoutMs });
    for (let n = 0; n < system.executorIds.length; n++) {
      await refused(
        executors.requestToken({ requestId: `again-${n}`, session: unknown }, { timeoutMs }),
        "session-exists",
      );
    }
    await executors.complete({ requestId, session: unknown }, { timeoutMs });
  });

  it("malformed requests are refused by name", async () => {
    using connection = system.executors("round_robin");
    const executors = connection.client(ConversionService);
    const session = newSession("malformed");
    const refused = (call: Promise<unknown>) =>
      expect(call).rejects.toEqual(expect.objectContaining({ code: "invalid-argument" }));
    await refused(executors.requestToken({ requestId: "", session }, { timeoutMs }));
    await refused(executors.requestToken({ requestId: "r" }, { timeoutMs }));
    await refused(
      executors.requestToken({ requestId: "r", session: { jobId: "../..", printerId: "p" } }, { timeoutMs }),
    );
  });
});

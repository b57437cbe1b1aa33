import { create } from "@bufbuild/protobuf";
import {
  type Job,
  JobEventKind,
  JobTicketSchema,
  type PlatenError,
  PrinterCapabilitiesSchema,
  PrinterMode,
} from "@platen/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newJobId, parsePrinterId } from "../domain/ids.ts";
import { cancelRequestedJob, pendingJob } from "../domain/job.ts";
import { openTestStorage, storageKinds, type TestStorage } from "../testing/test-storage.ts";
import { Jobs } from "./jobs.ts";
import { Printers, type Registration } from "./printers.ts";

const printerId = parsePrinterId("shed");
const [key, otherKey] = ["k".repeat(43), "o".repeat(43)];
const capabilities = create(PrinterCapabilitiesSchema, {
  resolutionsDpi: [600],
  resolutionDefaultDpi: 600,
  mediaSupported: ["iso_a4_210x297mm"],
  mediaDefault: "iso_a4_210x297mm",
});
const registration: Registration = {
  printerId,
  capabilities,
  mode: PrinterMode.POLL,
  address: "",
  enrolmentKey: "enrol",
  printerKey: key,
  status: undefined,
  loopback: true,
};

let storage: TestStorage;
let printers: Printers;
const open = (enrolmentKey: string | undefined) =>
  Printers.open(storage.storage.keyValue, enrolmentKey, Date.now);
const isKnownBy = (one: string) => printers.authenticate(printerId, `Bearer ${one}`);

describe.each(storageKinds)("registering on %s storage", (kind) => {
  beforeEach(async () => {
    storage = await openTestStorage(kind);
    printers = await open("enrol");
  });
  afterEach(() => storage[Symbol.asyncDispose]());

  test("a printer whose answer was lost registers again with the key it made, as often as it likes", async () => {
    for (let i = 0; i < 3; i++) expect(await printers.register(registration)).toBe("");
    await isKnownBy(key);
  });

  test("one of an earlier version, which makes no key, is given one", async () => {
    const given = await printers.register({ ...registration, printerKey: "" });
    expect(given).toMatch(/^[\w-]{43}$/);
    expect(await printers.register({ ...registration, printerKey: given })).toBe("");
    await isKnownBy(given);
  });

  test.each(["with", "without"])(
    "another key does not get a name that is taken, %s enrolment",
    async (how) => {
      if (how === "without") printers = await open(undefined);
      await printers.register(registration);
      for (const printerKey of [otherKey, ""]) {
        await expect(printers.register({ ...registration, printerKey })).rejects.toMatchObject({
          code: "printer-taken",
          message: expect.stringMatching(/another --printer-id.*state folder.*platen printers remove shed/),
        });
      }
      await isKnownBy(key);
    },
  );

  test("of two printers that register under one name at once, one gets it", async () => {
    const both = await Promise.allSettled(
      [key, otherKey].map((printerKey) => printers.register({ ...registration, printerKey })),
    );
    const refused = both.filter((one) => one.status === "rejected");
    expect(refused.map(({ reason }) => (reason as PlatenError).code)).toEqual(["printer-taken"]);
    await isKnownBy(both[0]!.status === "fulfilled" ? key : otherKey);
  });

  test.each(["short", `${"k".repeat(42)} `, "k".repeat(129)])("the key %j is none", async (printerKey) => {
    await expect(printers.register({ ...registration, printerKey })).rejects.toMatchObject({
      code: "invalid-argument",
    });
  });

  test("a printer that was removed gives its name free, and not before its jobs have ended", async () => {
    const jobs = await Jobs.open(storage.storage.keyValue, { retentionMs: 1, now: Date.now });
    await expect(printers.remove(printerId, jobs)).rejects.toMatchObject({ code: "printer-unknown" });
    await printers.register(registration);
    const jobId = newJobId(Date.now());
    const job = {
      jobId,
      jobName: "a",
      userName: "ann",
      documentUri: "http://a/",
      ticket: create(JobTicketSchema),
    };
    await jobs.create(pendingJob({ ...job, printerId }, Date.now()));
    await expect(printers.remove(printerId, jobs)).rejects.toMatchObject({
      code: "printer-busy",
      message: expect.stringContaining(jobId),
    });
    await isKnownBy(key);

    const apply = (one: Job) => cancelRequestedJob(one, "", Date.now());
    await jobs.change(jobId, { kind: JobEventKind.ENDED, apply });
    await printers.remove(printerId, jobs);
    expect(await printers.list()).toEqual([]);
    await printers.register({ ...registration, printerKey: otherKey });
    await expect(isKnownBy(key)).rejects.toMatchObject({ code: "unauthenticated" });
  });
});

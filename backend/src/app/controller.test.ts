import { create } from "@bufbuild/protobuf";
import { JobState, JobTicketSchema, PlatenError } from "@platen/proto";
import { expect, test } from "vitest";
import { newJobId, parsePrinterId } from "../domain/ids.ts";
import { pendingJob } from "../domain/job.ts";
import { openTestStorage } from "../testing/test-storage.ts";
import { Controller, type ControllerDependencies } from "./controller.ts";
import { Jobs } from "./jobs.ts";

test("a job that waits for something away is given back, and the operator is told what it waits for", async () => {
  await using opened = await openTestStorage("embedded");
  const { keyValue, queues } = opened.storage;
  const jobs = await Jobs.open(keyValue, { retentionMs: 3_600_000, now: Date.now });
  const instructions = await queues.queue("instructions", { leaseMs: 60_000 });
  const jobId = newJobId(Date.now());
  const printerId = parsePrinterId("office");
  const documentUri = "https://example.org/a.pdf";
  const ticket = create(JobTicketSchema);
  await jobs.create(
    pendingJob({ jobId, printerId, jobName: "a", userName: "ann", documentUri, ticket }, Date.now()),
  );
  await instructions.enqueue(printerId, jobId, Buffer.from(jobId));

  const stop = new AbortController();
  const told: PlatenError[] = [];
  const away = async (): Promise<never> => {
    throw new PlatenError("unavailable", "self-signed certificate");
  };
  const controller = new Controller({
    jobs,
    instructions,
    printers: { get: away },
    now: Date.now,
    leaseMs: 60_000,
    log: (error: PlatenError) => {
      told.push(error);
      if (told.length === 2) stop.abort();
    },
  } as unknown as ControllerDependencies);
  await controller.run(stop.signal);

  for (const { code, message } of told) {
    expect(code).toBe("unavailable");
    expect(message).toBe(`job ${jobId} waits, and will be tried again: self-signed certificate`);
  }
  expect(await jobs.get(jobId)).toMatchObject({ state: JobState.PROCESSING });
});

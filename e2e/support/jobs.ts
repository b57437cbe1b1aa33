/** What a user does: upload, submit, watch. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type Job,
  type JobEvent,
  type JobEventKind,
  type JobTicketSchema,
  type UploadDocumentRequestSchema,
} from "@platen/proto";
import { vi } from "vitest";
import { parseSession } from "../../backend/src/domain/ids.ts";
import type { TestSystem } from "./system.ts";

export type Ticket = MessageInitShape<typeof JobTicketSchema>;

/** A stamp-sized medium: quick to convert, quick to print. */
export const stampMedia = "custom_stamp_26x26mm";

export async function upload(system: TestSystem, bytes: Uint8Array, fileName = "test.pdf"): Promise<string> {
  const parts = (async function* (): AsyncGenerator<MessageInitShape<typeof UploadDocumentRequestSchema>> {
    yield { part: { case: "header", value: { fileName, sizeBytes: BigInt(bytes.length) } } };
    for (let at = 0; at < bytes.length; at += 65_536) {
      yield { part: { case: "chunk", value: bytes.subarray(at, at + 65_536) } };
    }
  })();
  return (await system.intake.uploadDocument(parts)).documentId;
}

/** Uploads and submits on stamp-sized media; resolves to the job as it was taken. */
export async function submit(
  system: TestSystem,
  printerId: string,
  bytes: Uint8Array,
  ticket: Ticket = {},
): Promise<Job> {
  const document = { case: "documentId" as const, value: await upload(system, bytes) };
  const { job } = await system.intake.submitJob({
    printerId,
    document,
    ticket: { media: stampMedia, ...ticket },
  });
  return job!;
}

/** The history up to the end of the job; `see` is shown each event as it happens. */
export async function history(
  system: TestSystem,
  jobId: string,
  see: (event: JobEvent) => void | Promise<void> = () => {},
): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const { event } of system.intake.watchJob({ jobId })) {
    events.push(event!);
    await see(event!);
  }
  return events;
}

/** Waits for the job's end, and then for S112: nothing of the session may be left in any store. */
export async function ended(
  system: TestSystem,
  { jobId, printerId }: Job,
  see?: (event: JobEvent) => void | Promise<void>,
) {
  const events = await history(system, jobId, see);
  const { job } = await system.intake.getJob({ jobId });
  await vi.waitFor(
    async () => {
      const left = await system.leftovers(parseSession({ jobId, printerId }));
      if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
    },
    { timeout: 20_000, interval: 50 },
  );
  return { job: job!, events };
}

/** The executor that told of a step. */
export const executorOf = (events: readonly JobEvent[], kind: JobEventKind): string | undefined =>
  events.find((event) => event.kind === kind)?.executorId;

/** IntakeService: wire messages to intake and back. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  bindService,
  IntakeService,
  type JobState,
  JobStateSchema,
  PlatenError,
  type UploadDocumentRequest,
} from "@platen/proto";
import type { Intake } from "../app/intake.ts";
import { parseJobId, parsePrinterId } from "../domain/ids.ts";

const maxChunkBytes = 1024 * 1024;
const defaultPageSize = 50;
const maxPageSize = 1000;

const invalid = (message: string): PlatenError => new PlatenError("invalid-argument", message);

async function* chunksOf(parts: AsyncIterator<UploadDocumentRequest>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await parts.next();
    if (done) return;
    if (value.part.case !== "chunk")
      throw invalid("after the header every message of an upload must be a chunk");
    if (value.part.value.length > maxChunkBytes) {
      throw invalid(`a chunk has at most ${maxChunkBytes} bytes, not ${value.part.value.length}`);
    }
    yield value.part.value;
  }
}

function pageSizeOf(pageSize: number): number {
  if (pageSize > maxPageSize) throw invalid(`page_size is at most ${maxPageSize}, not ${pageSize}`);
  return pageSize || defaultPageSize;
}

function knownState(state: JobState): JobState {
  if (state !== 0 && JobStateSchema.value[state]) return state;
  throw invalid(`states names an unknown job state, ${state}`);
}

/**
 * `draining` aborts when the server drains: watches, which may last for days, then end with `unavailable`, to be taken up
 * elsewhere.
 */
export const intakeService = (intake: Intake, draining: AbortSignal) =>
  bindService(IntakeService, {
    uploadDocument: async (requests, { signal }) => {
      const parts = requests[Symbol.asyncIterator]();
      const first = await parts.next();
      if (first.done || first.value.part.case !== "header") {
        throw invalid("the first message of an upload must be its header");
      }
      const { fileName, sizeBytes } = first.value.part.value;
      const header = { fileName, sizeBytes: Number(sizeBytes) };
      const document = await intake.upload(header, chunksOf(parts), signal);
      return {
        ...document,
        sizeBytes: BigInt(document.sizeBytes),
        expireTime: timestampFromMs(document.expiresMs),
      };
    },
    submitJob: async (request) => ({ job: await intake.submit(request) }),
    getJob: async (request) => {
      const job = await intake.get(parseJobId(request.jobId));
      if (!job) throw new PlatenError("job-unknown", `there is no job ${request.jobId}`);
      return { job };
    },
    watchJob: async function* (request, { signal }) {
      const either = AbortSignal.any([signal, draining]);
      for await (const event of intake.watch(parseJobId(request.jobId), request.afterSequence, either)) {
        yield { event };
      }
      if (draining.aborted) {
        throw new PlatenError(
          "unavailable",
          "the server is going away: watch again from the last event seen",
        );
      }
    },
    listJobs: (request) => {
      const { printerId, pageToken } = request;
      return intake.list({
        printerId: printerId && parsePrinterId(printerId),
        states: request.states.map(knownState),
        pageSize: pageSizeOf(request.pageSize),
        pageToken,
      });
    },
    cancelJob: async (request) => ({ job: await intake.cancel(parseJobId(request.jobId), request.message) }),
    listPrinters: async () => ({ printers: await intake.printers() }),
  });

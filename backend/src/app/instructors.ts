/**
 * The download instructor VM002 and the conversion instructor VM003: two requesters, each of which sends single requests
 * through the balancer. That their requests belong together only the session id says (claims 1, 8).
 */
import type {
  ConversionService,
  ConvertResponse,
  DownloadResponse,
  InstructConversionRequest,
  InstructDownloadRequest,
  ServiceClient,
} from "@platen/proto";
import { retryStream, retryUnavailable } from "./retry.ts";

/** The executors, behind the balancer. */
export type Executors = ServiceClient<typeof ConversionService>;

export class Instructors {
  readonly #executors: Executors;
  constructor(executors: Executors) {
    this.#executors = executors;
  }

  /** S107: a lost executor is replaced by another one. */
  download(request: InstructDownloadRequest, signal: AbortSignal): Promise<DownloadResponse> {
    const { requestId, session, documentUri } = request;
    return retryUnavailable(
      () => this.#executors.download({ requestId, ...(session && { session }), documentUri }, { signal }),
      { signal },
    );
  }

  /** S108: a lost executor is replaced by another one, which goes on with the pages that are not ready. */
  async *convert(request: InstructConversionRequest, signal: AbortSignal): AsyncIterable<ConvertResponse> {
    const { requestId, session, settings } = request;
    const seen = new Set<number>();
    const attempts = retryStream(
      () =>
        this.#executors.convert(
          { requestId, ...(session && { session }), ...(settings && { settings }) },
          { signal },
        ),
      { signal },
    );
    for await (const response of attempts) {
      // The second executor tells of the first one's pages again.
      if (response.progress.case === "pageConverted") {
        const { pageNumber } = response.progress.value;
        if (seen.has(pageNumber)) continue;
        seen.add(pageNumber);
      }
      yield response;
    }
  }
}

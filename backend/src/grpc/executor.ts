/** ConversionService: wire messages to the executor and back. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { bindService, ConversionService, PlatenError } from "@platen/proto";
import type { ConversionProgress } from "../app/conversion.ts";
import type { Executor } from "../app/executor.ts";
import { parseIdentificationId, parseSession } from "../domain/ids.ts";

function requestIdOf(request: { requestId: string }): string {
  if (/^[\x21-\x7e]{1,128}$/.test(request.requestId)) return request.requestId;
  throw new PlatenError(
    "invalid-argument",
    "request_id must be 1 to 128 printable characters without spaces",
  );
}

function progressOf(progress: ConversionProgress) {
  switch (progress.kind) {
    case "opened":
      return { case: "opened" as const, value: progress };
    case "page":
      return {
        case: "pageConverted" as const,
        value: { ...progress, sizeBytes: BigInt(progress.sizeBytes) },
      };
    case "completed":
      return { case: "completed" as const, value: progress };
  }
}

export const executorService = (executor: Executor, executorId: string) =>
  bindService(ConversionService, {
    requestToken: async (request) => {
      const { token, expiresMs } = await executor.requestToken(
        requestIdOf(request),
        parseSession(request.session),
      );
      return { token, expireTime: timestampFromMs(expiresMs), executorId };
    },
    download: async (request, { signal }) => {
      const session = parseSession(request.session);
      const done = await executor.download(
        requestIdOf(request),
        session,
        request.documentUri,
        executorId,
        signal,
      );
      return { sizeBytes: BigInt(done.sizeBytes), mediaType: done.mediaType, executorId };
    },
    convert: async function* (request, { signal }) {
      const session = parseSession(request.session);
      if (!request.settings) throw new PlatenError("invalid-argument", "settings are missing");
      for await (const progress of executor.convert(
        requestIdOf(request),
        session,
        request.settings,
        signal,
      )) {
        yield { executorId, progress: progressOf(progress) };
      }
    },
    complete: async (request) => {
      const { identificationId } = request;
      await executor.complete(
        parseSession(request.session),
        identificationId ? parseIdentificationId(identificationId) : undefined,
      );
      return { executorId };
    },
  });

/** A blob as the answer to GET or HEAD: all of it, or from the byte on where a connection broke (RFC 9110 sections 13.1.5 and 14). */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Blob } from "../ports/blob.ts";

/**
 * First byte asked for, of `Range: bytes=N-`; 0 for all other ranges, which may be ignored, and where `If-Range` names other
 * content than there is.
 */
function rangeStart({ method, headers }: IncomingMessage, etag: string): number {
  const ifRange = headers["if-range"];
  if (method !== "GET" || (ifRange !== undefined && ifRange !== etag)) return 0;
  return Number(/^bytes=(\d{1,12})-$/.exec(headers.range ?? "")?.[1] ?? 0);
}

/** Resolves when all is sent; rejects when the connection breaks, or the blob is gone meanwhile. */
export async function sendBlob(
  request: IncomingMessage,
  response: ServerResponse,
  blob: Blob,
  contentType: string,
): Promise<void> {
  const { sizeBytes } = blob;
  const etag = `"${blob.version}"`;
  const start = rangeStart(request, etag);
  const always = { etag, "accept-ranges": "bytes", "cache-control": "no-store" };
  if (start > 0 && start >= sizeBytes) {
    const message = `there is no byte ${start}: there are ${sizeBytes}`;
    response
      .writeHead(416, {
        ...always,
        "content-type": "application/json",
        "content-range": `bytes */${sizeBytes}`,
      })
      .end(JSON.stringify({ code: "invalid-argument", message }));
    return;
  }
  response.writeHead(start > 0 ? 206 : 200, {
    ...always,
    "content-type": contentType,
    "content-length": sizeBytes - start,
    ...(start > 0 && { "content-range": `bytes ${start}-${sizeBytes - 1}/${sizeBytes}` }),
  });
  if (request.method === "HEAD") response.end();
  else await pipeline(Readable.from(blob.bytes(start)), response);
}

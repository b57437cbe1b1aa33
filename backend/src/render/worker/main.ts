/**
 * A worker process of the converter: opens documents, renders sides, one request at a time. It reads what strangers wrote, so
 * it may hang, swell or crash at any moment; its parent (worker-process.ts) watches and kills it.
 */
import { Worker } from "node:worker_threads";
import { type ErrorCode, PlatenError } from "@platen/proto/metafile";
import sharp from "sharp";
import { selectPages } from "../../domain/page-ranges.ts";
import type {
  CloseRequest,
  DocumentFile,
  OpenRequest,
  Opened,
  Ready,
  WorkReply,
  WorkRequest,
} from "../protocol.ts";
import { ReusedCanvas } from "./canvas.ts";
import { installFallbackFonts } from "./fonts.ts";
import { openImage } from "./image-source.ts";
import type { PageSource } from "./page-source.ts";
import { installAssetLoaders } from "./pdf-assets.ts";
import { openPdf } from "./pdf-source.ts";
import { renderSide } from "./render-side.ts";

/** Documents that stay open: those of a few jobs that take turns. */
const maxOpenDocuments = 4;

const canvas = new ReusedCanvas();
/** By id, the least recently used first. */
const documents = new Map<string, PageSource>();

async function sourceOf({ id, path, mediaType, keepColors }: DocumentFile): Promise<PageSource> {
  const open = documents.get(id);
  documents.delete(id);
  const source =
    open ?? (await (mediaType === "application/pdf" ? openPdf(path) : openImage(path, keepColors)));
  documents.set(id, source);
  for (const [oldest] of documents) {
    if (documents.size <= maxOpenDocuments) break;
    await close(oldest);
  }
  return source;
}

async function close(id: string): Promise<void> {
  const source = documents.get(id);
  documents.delete(id);
  await source?.[Symbol.asyncDispose]();
  if (documents.size > 0) return;
  // At rest, it holds as little as it can.
  canvas.drop();
  globalThis.gc?.();
}

async function openDocument({ document, pageRanges }: OpenRequest): Promise<Opened> {
  const source = await sourceOf(document);
  const pages = [];
  for (const pageNumber of selectPages(source.pageCount, pageRanges)) {
    pages.push({ pageNumber, ...(await source.size(pageNumber)) });
  }
  const profile = source.sourceProfile && Buffer.from(source.sourceProfile).toString("base64");
  return { kind: "opened", pages, ...(profile !== undefined && { sourceProfileBase64: profile }) };
}

function failureOf(error: unknown): { code: ErrorCode; message: string } {
  if (error instanceof PlatenError) return { code: error.code, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  // Buffers and canvases that cannot be made.
  if (error instanceof RangeError || /allocat|skia surface/i.test(message)) {
    return { code: "conversion-memory-limit", message: `the page needs too much memory: ${message}` };
  }
  return { code: "internal", message };
}

async function replyTo(request: WorkRequest): Promise<WorkReply> {
  try {
    if (request.kind === "open") return await openDocument(request);
    return await renderSide(await sourceOf(request.document), request, canvas);
  } catch (error) {
    return { kind: "failed", ...failureOf(error) };
  }
}

const send = (message: Ready | WorkReply): void => void process.send?.(message);

installAssetLoaders();
installFallbackFonts();
// Bands are encoded side by side already, and none of them comes twice.
sharp.concurrency(1);
sharp.cache(false);
// pdf.js leaves promises of broken objects behind that nobody waits for; the page's own promise tells what matters.
process.on("unhandledRejection", () => {});
process.on("disconnect", () => process.exit());
process.on("message", (request: WorkRequest | CloseRequest) => {
  if (request.kind === "close") void close(request.id);
  else void replyTo(request).then(send);
});
new Worker(new URL("./orphan-watch.ts", import.meta.url)).unref();
send({ kind: "ready" });

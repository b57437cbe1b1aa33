/** What the converter and its worker processes say to each other over the IPC channel: plain JSON. */
import type { ErrorCode } from "@platen/proto";
import type { ImposedSide, InputPage } from "../domain/imposition.ts";
import type { Range } from "../domain/page-ranges.ts";
import type { MediaType } from "../domain/media-type.ts";

/** A document that is open. The same file may be open twice. */
export interface DocumentFile {
  readonly id: string;
  readonly path: string;
  readonly mediaType: MediaType;
  /** Whether an image is drawn in its own colour space, not in sRGB. */
  readonly keepColors: boolean;
}

/** How bands are encoded. */
export interface BandSettings {
  /** JPEG quality, 1 to 100. */
  readonly jpegQuality: number;
  /** Whether colours become shades of grey. */
  readonly monochrome: boolean;
}

/** Asks for the sizes of the pages that are to be printed. */
export interface OpenRequest {
  readonly kind: "open";
  readonly document: DocumentFile;
  readonly pageRanges: readonly Range[];
}

/** Asks for one side, as a file of bands. */
export interface RenderRequest {
  readonly kind: "render";
  readonly document: DocumentFile;
  readonly side: ImposedSide;
  readonly bands: BandSettings;
  /** A larger side is rendered in strips of so many pixels. */
  readonly maxCanvasPixels: number;
  /** The file to write. */
  readonly path: string;
}

/** The document is not needed any more. Has no reply. */
export interface CloseRequest {
  readonly kind: "close";
  readonly id: string;
}

/** One at a time; the next one follows the reply. */
export type WorkRequest = OpenRequest | RenderRequest;

export interface Opened {
  readonly kind: "opened";
  readonly pages: readonly InputPage[];
  /** The ICC profile of what is drawn; sRGB without one. */
  readonly sourceProfileBase64?: string;
}

export interface Rendered {
  readonly kind: "rendered";
  readonly sizeBytes: number;
  readonly blankBands: number;
  readonly greyBands: number;
  readonly colorBands: number;
}

export interface Failed {
  readonly kind: "failed";
  readonly code: ErrorCode;
  readonly message: string;
}

export type WorkReply = Opened | Rendered | Failed;

/** Sent once, when the worker has loaded all that it needs. */
export interface Ready {
  readonly kind: "ready";
}

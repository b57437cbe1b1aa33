/** A JPEG or PNG as a document of one page, by sharp. */
import { type Canvas, createCanvas, ImageData, type SKRSContext2D } from "@napi-rs/canvas";
import { PlatenError } from "@platen/proto/metafile";
import sharp, { type Sharp } from "sharp";
import type { Matrix } from "../../domain/geometry.ts";
import { ownColors } from "./own-colors.ts";
import type { PageSource } from "./page-source.ts";

/** Pixels of an image that is taken: 16,000 × 16,000 and the like. */
const maxInputPixels = 2 ** 28;

/** The resolution of an image that tells none, dots an inch, and the least that is believed. */
const defaultDpi = 72;
const leastDpi = 36;

const open = (path: string, ignoreIcc = false): Sharp =>
  sharp(path, {
    failOn: "error",
    limitInputPixels: maxInputPixels,
    sequentialRead: true,
    ignoreIcc,
  }).autoOrient();

/** libvips says the same several times, a line each, and which of its classes found it. */
const firstReason = (text: string): string =>
  text
    .split("\n", 1)[0]!
    .replace(/^Input \w+ has /, "")
    .replaceAll(/\bvips\w+: |:\s*$/gi, "");

function imageError(cause: unknown): PlatenError {
  const reason = firstReason(cause instanceof Error ? cause.message : String(cause));
  return /pixel limit/.test(reason)
    ? new PlatenError("document-too-large", `the image has more than ${maxInputPixels} pixels`, { cause })
    : new PlatenError("document-damaged", `the image cannot be read: ${reason}`, { cause });
}

class ImageSource implements PageSource {
  readonly pageCount = 1;
  readonly sourceProfile: Uint8Array | undefined;
  readonly #path: string;
  readonly #widthPx: number;
  readonly #heightPx: number;
  readonly #dpi: number;
  /** Decoded for a side, and used for each of its strips. */
  #decoded: Canvas | undefined;

  constructor(
    path: string,
    widthPx: number,
    heightPx: number,
    dpi: number,
    sourceProfile: Uint8Array | undefined,
  ) {
    this.sourceProfile = sourceProfile;
    this.#path = path;
    this.#widthPx = widthPx;
    this.#heightPx = heightPx;
    this.#dpi = dpi;
  }

  async size() {
    const pointsPerPixel = 72 / this.#dpi;
    return { widthPt: this.#widthPx * pointsPerPixel, heightPt: this.#heightPx * pointsPerPixel };
  }

  /** In sRGB or the image's own space, upright, over white; reduced to `widthPx` × `heightPx` where it has more. */
  async #decode(widthPx: number, heightPx: number): Promise<Canvas> {
    const width = Math.min(widthPx, this.#widthPx);
    const height = Math.min(heightPx, this.#heightPx);
    if (this.#decoded?.width === width && this.#decoded.height === height) return this.#decoded;
    try {
      const pixels = await open(this.#path, this.sourceProfile !== undefined)
        .resize(width, height, { fit: "fill" })
        .flatten({ background: "#ffffff" })
        .toColourspace("srgb")
        .ensureAlpha()
        .raw()
        .toBuffer();
      const data = new Uint8ClampedArray(pixels.buffer, pixels.byteOffset, pixels.byteLength);
      this.#decoded = createCanvas(width, height);
      this.#decoded.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
      return this.#decoded;
    } catch (cause) {
      throw imageError(cause);
    }
  }

  async draw(_pageNumber: number, context: SKRSContext2D, matrix: Matrix): Promise<void> {
    const { widthPt, heightPt } = await this.size();
    const scale = Math.hypot(matrix[0], matrix[1]);
    const image = await this.#decode(
      Math.max(1, Math.round(widthPt * scale)),
      Math.max(1, Math.round(heightPt * scale)),
    );
    context.save();
    context.transform(...matrix);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, widthPt, heightPt);
    context.restore();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#decoded = undefined;
  }
}

/** With `keepColors` it is drawn in its own colour space where it has one. Throws `document-damaged` and `document-too-large`. */
export async function openImage(path: string, keepColors: boolean): Promise<PageSource> {
  try {
    const metadata = await open(path).metadata();
    const { autoOrient, density = defaultDpi } = metadata;
    const dpi = density < leastDpi ? defaultDpi : density;
    const profile = keepColors ? ownColors(metadata) : undefined;
    return new ImageSource(path, autoOrient.width, autoOrient.height, dpi, profile);
  } catch (cause) {
    throw imageError(cause);
  }
}

/** The one canvas of a worker: making one of 139 MB (A4 at 600 dpi) anew costs more than drawing most pages. */
import { type Canvas, createCanvas, type SKRSContext2D } from "@napi-rs/canvas";

export class ReusedCanvas {
  #canvas: Canvas | undefined;

  /** An all white canvas of that size, in its initial state. It is the caller's until the next call. */
  take(widthPx: number, heightPx: number): SKRSContext2D {
    if (this.#canvas?.width !== widthPx || this.#canvas.height !== heightPx) {
      this.#canvas = undefined;
      this.#canvas = createCanvas(widthPx, heightPx);
    }
    const context = this.#canvas.getContext("2d", { alpha: false });
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, widthPx, heightPx);
    return context;
  }

  /** Forgets the canvas: when it is not needed for now, or when drawing broke off and left it in an unknown state. */
  drop(): void {
    this.#canvas = undefined;
  }
}

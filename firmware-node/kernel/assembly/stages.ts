/** For the benchmark alone, compiled beside index.ts: the first of the kernel's two stages. */
import { convertRow, ditherLine, entriesOf, pixelOf } from "./convert";
import { blockFlags, blockPx, chunkPx, widthPx } from "./layout";

/** Looks up the inks of so many rows of sRGB in the input, chunk by chunk as the dots would be laid. */
export function lookUpRows(rows: i32, maskRow: i32): void {
  for (let chunk = 0; chunk < widthPx; chunk += chunkPx) {
    const blocks = min(chunkPx, widthPx - chunk) / blockPx;
    memory.fill(blockFlags, 0, blocks);
    for (let r = 0; r < rows; r++) {
      convertRow(pixelOf(r, chunk), entriesOf(r & 3), ditherLine(maskRow + r), blocks, blocks);
    }
  }
}

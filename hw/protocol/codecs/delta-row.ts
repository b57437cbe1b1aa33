/**
 * Delta row: each row as its differences from the row above; the row above the first is blank. The idea is that of PCL's
 * compression method 3, with the end of a row marked, so that no lengths are needed.
 *
 * A row is a list of commands, and ends with the command FF or with its last byte. Of a command byte the upper three bits are
 * the count of bytes to replace, less one (1 to 8), and the lower five bits the count of bytes to keep before them. 31 there
 * means that more bytes follow, which add to the count; each 255 among them says that yet another follows. Then come the
 * replacements. FF, which would keep 31 or more and replace 8, is the end of the row instead: such a change is split.
 */
import { scratch } from "./scratch.ts";

const endOfRow = 0xff;

/** The encoded bytes, or undefined when they would be `limitBytes` or more. */
export function encodeDeltaRow(
  plain: Uint8Array,
  strideBytes: number,
  limitBytes: number,
): Uint8Array<ArrayBuffer> | undefined {
  // Room for one command beyond the limit, so that only rows and not bytes are checked.
  const out = scratch(limitBytes + 2 * strideBytes + 2);
  let end = 0;
  for (let row = 0; row < plain.length; row += strideBytes) {
    let kept = 0;
    let x = 0;
    const same = (at: number): boolean => plain[row + at] === (row === 0 ? 0 : plain[row + at - strideBytes]);
    while (x < strideBytes) {
      if (same(x)) {
        kept++;
        x++;
        continue;
      }
      const most = kept < 31 ? 8 : 7;
      let count = 1;
      while (count < most && x + count < strideBytes && !same(x + count)) count++;
      out[end++] = ((count - 1) << 5) | Math.min(kept, 31);
      if (kept >= 31) {
        let more = kept - 31;
        for (; more >= 255; more -= 255) out[end++] = 255;
        out[end++] = more;
      }
      for (let i = 0; i < count; i++) out[end++] = plain[row + x++]!;
      kept = 0;
    }
    if (kept > 0) out[end++] = endOfRow;
    if (end >= limitBytes) return undefined;
  }
  return out.slice(0, end);
}

/** Fills `plain` and returns true, or false unless `coded` is exactly its rows. Writes nowhere else. */
export function decodeDeltaRow(coded: Uint8Array, plain: Uint8Array, strideBytes: number): boolean {
  let read = 0;
  for (let row = 0; row < plain.length; row += strideBytes) {
    if (row === 0) plain.fill(0, 0, strideBytes);
    else plain.copyWithin(row, row - strideBytes, row);
    let x = 0;
    while (x < strideBytes) {
      const command = coded[read++];
      if (command === undefined) return false;
      if (command === endOfRow) break;
      const count = (command >> 5) + 1;
      let keep = command & 31;
      if (keep === 31) {
        for (;;) {
          const more = coded[read++];
          if (more === undefined) return false;
          keep += more;
          if (more < 255) break;
          if (keep > strideBytes) return false;
        }
      }
      x += keep;
      if (x + count > strideBytes || read + count > coded.length) return false;
      plain.set(coded.subarray(read, read + count), row + x);
      read += count;
      x += count;
    }
  }
  return read === coded.length;
}

/** Ordered dither, src/pixels/ordered.ts to the bit: a row at a time, since no row needs another. */
import { storeDots, swapBytes } from "./color";
import { convertRow, ditherLine, notWhite, pixelOf } from "./convert";
import { convertBlock } from "./grey";
import {
  blockFlags, blockPx, chunkPx, entries, maskSide, narrowX, output, outputStride, planeStride, rowThresholds, thresholds,
  widthPx,
} from "./layout";

/** Black among the four planes of thresholds: its byte. */
const black: usize = 6;

/** Two pixels a vector. Returns the planes with dots, bit 0 cyan to bit 3 black. */
export function orderedColorRow(row: i32, maskRow: i32): i32 {
  const line = thresholds + <usize>((maskRow & (maskSide - 1)) * maskSide * 8);
  const bits = i16x8(2, 2, 2, 2, 1, 1, 1, 1);
  let anyDots = i64x2(0, 0);
  for (let chunk = 0; chunk < widthPx; chunk += chunkPx) {
    const blocks = min(chunkPx, widthPx - chunk) / blockPx;
    memory.fill(blockFlags, 0, blocks);
    convertRow(pixelOf(row, chunk), entries, ditherLine(maskRow), blocks, blocks);
    for (let block = 0; block < blocks; block++) {
      const x = chunk + block * blockPx;
      let dots = i64x2(0, 0);
      if (load<u8>(blockFlags + <usize>block) & notWhite) {
        const entry = entries + <usize>(block * blockPx * 4);
        const t = line + <usize>((x & (maskSide - 1)) * 8);
        { // × 8
          const step: usize = 0;
          const first = v128.load64_zero(<usize>load<u32>(entry, step * 8));
          const asked = v128.load64_lane(<usize>load<u32>(entry, step * 8 + 4), first, 1);
          const dot = i16x8.gt_s(asked, v128.load(t, step * 16));
          dots = v128.or(i16x8.shl(dots, 2), v128.and(dot, bits));
        } // × 8
        dots = v128.or(dots, v128.shuffle<u64>(dots, dots, 1, 0));
        anyDots = v128.or(anyDots, dots);
      }
      storeDots(output + <usize>(row * outputStride + (x >> 3)), swapBytes(dots), false, x == narrowX);
    }
  }
  return i16x8.bitmask(i16x8.ne(anyDots, i16x8.splat(0))) & 15;
}

/** Black of eight pixels by their entries, the last one first, as a mask of bits has them. */
@inline function eightAsked(entry: usize): v128 {
  let asked = i64x2(0, 0);
  asked = v128.load16_lane(<usize>load<u32>(entry), asked, 7);
  asked = v128.load16_lane(<usize>load<u32>(entry, 4), asked, 6);
  asked = v128.load16_lane(<usize>load<u32>(entry, 8), asked, 5);
  asked = v128.load16_lane(<usize>load<u32>(entry, 12), asked, 4);
  asked = v128.load16_lane(<usize>load<u32>(entry, 16), asked, 3);
  asked = v128.load16_lane(<usize>load<u32>(entry, 20), asked, 2);
  asked = v128.load16_lane(<usize>load<u32>(entry, 24), asked, 1);
  return v128.load16_lane(<usize>load<u32>(entry, 28), asked, 0);
}

/** A row of pixels in black alone, grey or sRGB. Returns whether any dot was laid. */
export function orderedBlackRow(pixels: usize, color: bool, row: i32, maskRow: i32): bool {
  const line = thresholds + <usize>((maskRow & (maskSide - 1)) * maskSide * 8) + black;
  // Each eight the other way round, as `eightAsked` has them.
  for (let x = 0; x < maskSide; x++) {
    store<u16>(rowThresholds + <usize>((x ^ 7) * 2), load<u16>(line + <usize>(x * 8)));
  }
  let anyDots = 0;
  const to = output + <usize>(3 * planeStride + row * outputStride);
  for (let x = 0; x < widthPx; x += blockPx) {
    let dots = 0;
    if (convertBlock(pixels + <usize>(color ? x * 3 : x), entries, color) & notWhite) {
      const t = rowThresholds + <usize>((x & (maskSide - 1)) * 2);
      const left = i16x8.gt_s(eightAsked(entries), v128.load(t));
      const right = i16x8.gt_s(eightAsked(entries + 32), v128.load(t, 16));
      dots = i8x16.bitmask(i8x16.narrow_i16x8_s(left, right));
      anyDots |= dots;
    }
    if (x == narrowX) store<u8>(to + <usize>(x >> 3), <u8>dots);
    else store<u16>(to + <usize>(x >> 3), <u16>dots);
  }
  return anyDots != 0;
}

/**
 * Black alone: eight rows at once, one lane a row, each four pixels behind the one above; otherwise as in color.ts. For grey
 * bands, and for all bands of a printer that has black alone.
 */
import { entriesOf, hasSpecial, notWhite } from "./convert";
import { addLeft3, byMask, isDot, leftOf, toBelow, toLeft1, toLeft2, toRight } from "./diffuse";
import {
  blacks, blockFlags, blockPx, chunkPx, entries, entriesStride, errors, full, greyBlacks, lagPx, leastError, lightest, lights,
  maskSide, masks, narrowX, output, outputStride, planeStride, rowThresholds, thresholds, whiteBlack, widthPx,
} from "./layout";

/** Black among the four planes of errors and thresholds: its byte. */
const black: usize = 6;
/** How far behind the error that comes the last row's error leaves. */
const behind: usize = (7 * lagPx + 3) * 8;
/** From the entry of a row's pixel to that of the row below which is worked in the same step. */
const nextRow: usize = entriesStride;

/** Entry of a pixel of sRGB by its light. */
@inline function lightAt(pixel: usize): i32 {
  const r = <u32>load<u8>(pixel);
  const g = <u32>load<u8>(pixel, 1);
  const b = <u32>load<u8>(pixel, 2);
  if ((r | g | b) == 0 || (r & g & b) == 255) return greyBlacks + <i32>(r << 1);
  const light = load<u32>(lights + (r << 2)) + load<u32>(lights + (g << 2), 1024) + load<u32>(lights + (b << 2), 2048);
  return <i32>blacks + <i32>(((light + (1 << 16)) >>> 17) << 1);
}

/** Entries of four grey pixels. */
@inline function greyEntries(values: v128): v128 {
  return i32x4.add(i32x4.shl(values, 1), i32x4.splat(greyBlacks));
}

/** Entries of a block of 16 pixels. Returns flags as `convertBlock` does. */
export function convertBlock(from: usize, to: usize, color: bool): i32 {
  const pixels = v128.load(from);
  let all = pixels;
  if (color) all = v128.and(v128.and(all, v128.load(from, 16)), v128.load(from, 32));
  if (i8x16.all_true(i8x16.eq(all, i8x16.splat(-1)))) {
    fillWhite(to);
    return 0;
  }
  if (color) {
    for (let i: usize = 0; i < 16; i++) store<i32>(to + i * 4, lightAt(from + i * 3));
  } else {
    const low = i16x8.extend_low_i8x16_u(pixels);
    const high = i16x8.extend_high_i8x16_u(pixels);
    v128.store(to, greyEntries(i32x4.extend_low_i16x8_u(low)));
    v128.store(to, greyEntries(i32x4.extend_high_i16x8_u(low)), 16);
    v128.store(to, greyEntries(i32x4.extend_low_i16x8_u(high)), 32);
    v128.store(to, greyEntries(i32x4.extend_high_i16x8_u(high)), 48);
  }
  return notWhite;
}

@inline function fillWhite(to: usize): void {
  const white = i32x4.splat(whiteBlack);
  v128.store(to, white);
  v128.store(to, white, 16);
  v128.store(to, white, 32);
  v128.store(to, white, 48);
}

/** Thresholds, then masks, of eight rows, 32 bytes a step. */
function gatherThresholds(maskRow: i32): void {
  for (let row = 0; row < 8; row++) {
    const line = <usize>(((maskRow + row) & (maskSide - 1)) * maskSide * 8);
    for (let x = 0; x < maskSide; x++) {
      const place = line + <usize>(((x - row * lagPx) & (maskSide - 1)) * 8);
      const to = rowThresholds + <usize>(x * 32 + row * 2);
      store<u16>(to, load<u16>(thresholds + place, black));
      store<u16>(to, load<u16>(masks + place, black), 16);
    }
  }
}

/** 16 dots of one row, the lowest 16 bits of `dots`. */
@inline function storeDots(row: i32, x: i32, dots: u32): void {
  if (x < 0 || x >= widthPx) return;
  const to = output + <usize>(3 * planeStride + row * outputStride + (x >> 3));
  if (x == narrowX) store<u8>(to, <u8>(dots >> 8));
  else store<u16>(to, bswap<u16>(<u16>dots));
}

/** Dots of row `r` of the eight from `row` on, which lags, from the bits of the block before and of this one. */
@inline function storeLagging(row: i32, r: i32, x: i32, before: u32, dots: u32): void {
  const lag = r * lagPx;
  const both = (before << 16) | dots;
  storeDots(row + r, x - blockPx * ((lag + 15) / 16), both >>> (16 - (lag & 15)));
}

/** The last row's error for the row below; the colours have none. */
@inline function storeError(to: usize, sum: v128): void {
  store<u64>(to, <u64>(<u16>i16x8.extract_lane_s(sum, 7)) << 48);
}

/** Coverage of a pixel of eight rows. */
@inline function askedAt(entry: usize): v128 {
  let asked = v128.load16_lane(load<u32>(entry), i64x2(0, 0), 0);
  asked = v128.load16_lane(load<u32>(entry, nextRow), asked, 1);
  asked = v128.load16_lane(load<u32>(entry, nextRow * 2), asked, 2);
  asked = v128.load16_lane(load<u32>(entry, nextRow * 3), asked, 3);
  asked = v128.load16_lane(load<u32>(entry, nextRow * 4), asked, 4);
  asked = v128.load16_lane(load<u32>(entry, nextRow * 5), asked, 5);
  asked = v128.load16_lane(load<u32>(entry, nextRow * 6), asked, 6);
  return v128.load16_lane(load<u32>(entry, nextRow * 7), asked, 7);
}

/**
 * Eight rows of pixels from `pixels` on, `stride` bytes each, grey or sRGB; they become row `row` and the next ones of the
 * output. Returns whether any dot was laid.
 */
export function eightGreyRows(pixels: usize, stride: i32, color: bool, row: i32, maskRow: i32): bool {
  gatherThresholds(maskRow);
  const zero = i64x2(0, 0);
  const limit = i16x8.splat(<i16>(full + 1));
  const light = i16x8.splat(<i16>(lightest + 1));
  const less = i16x8.splat(<i16>(leastError - 1));
  let a = zero, b = zero, c = zero, sum = zero, right = zero, dots = zero, before = zero, anyDots = zero;
  for (let lagging = 1; lagging < 8; lagging++) {
    for (let x = 1; x <= lagging * lagPx; x++) store<u32>(entriesOf(lagging) - <usize>(x * 4), whiteBlack);
  }
  // Rows that lag touch two blocks before this one. Left of the page is white.
  let flagsBefore = 0;
  const end = widthPx + 2 * blockPx;
  for (let chunk = 0; chunk < end; chunk += chunkPx) {
    const blocks = min(chunkPx, end - chunk) / blockPx;
    const blocksOnPage = max(0, min(blocks, (widthPx - chunk) / blockPx));
    memory.fill(blockFlags, 0, blocks);
    for (let r = 0; r < 8; r++) {
      let from = pixels + <usize>(r * stride + (color ? chunk * 3 : chunk));
      let to = entriesOf(r);
      for (let block = 0; block < blocks; block++, to += blockPx * 4, from += color ? 48 : 16) {
        const flags = blockFlags + <usize>block;
        if (block < blocksOnPage) store<u8>(flags, load<u8>(flags) | convertBlock(from, to, color));
        else fillWhite(to);
      }
    }
    for (let block = 0; block < blocks; block++) {
      const x = chunk + block * blockPx;
      const flags = (flagsBefore << 8) | load<u8>(blockFlags + <usize>block);
      flagsBefore = flags;
      let entry = entries + <usize>(block * blockPx * 4);
      let t = rowThresholds + <usize>((x & (maskSide - 1)) * 32);
      let error = errors + <usize>(x * 8);
      const last = error + blockPx * 8;
      if ((flags & (notWhite * 0x010101)) == 0) {
        storeError(error - behind, a);
        storeError(error - behind + 8, b);
        storeError(error - behind + 16, c);
        for (let i: usize = 24; i < 128; i += 8) store<u64>(error - behind + i, 0);
        a = b = c = sum = right = dots = zero;
      } else {
        for (; error < last; error += 8, entry += 4, t += 32) {
          const above = v128.load16_lane(error + black, v128.shuffle<u16>(sum, sum, 0, 0, 1, 2, 3, 4, 5, 6), 0);
          const asked = askedAt(entry);
          const apart = i16x8.ge_u(asked, limit);
          const come = v128.andnot(i16x8.add(above, right), apart);
          const masked = byMask(asked, come, v128.load(t, 16));
          const dot = isDot(asked, come, v128.load(t), masked, light, less);
          dots = i16x8.sub(i16x8.add(dots, dots), dot);
          const e = i16x8.add(come, v128.andnot(leftOf(asked, dot), apart));
          sum = addLeft3(a, e);
          right = toRight(e);
          a = i16x8.add(b, toLeft2(e));
          b = i16x8.add(c, toLeft1(e));
          c = toBelow(e);
          storeError(error - behind, sum);
        }
      }
      anyDots = v128.or(anyDots, dots);
      storeDots(row, x, i16x8.extract_lane_u(dots, 0));
      storeLagging(row, 1, x, i16x8.extract_lane_u(before, 1), i16x8.extract_lane_u(dots, 1));
      storeLagging(row, 2, x, i16x8.extract_lane_u(before, 2), i16x8.extract_lane_u(dots, 2));
      storeLagging(row, 3, x, i16x8.extract_lane_u(before, 3), i16x8.extract_lane_u(dots, 3));
      storeDots(row + 4, x - blockPx, i16x8.extract_lane_u(dots, 4));
      storeLagging(row, 5, x, i16x8.extract_lane_u(before, 5), i16x8.extract_lane_u(dots, 5));
      storeLagging(row, 6, x, i16x8.extract_lane_u(before, 6), i16x8.extract_lane_u(dots, 6));
      storeLagging(row, 7, x, i16x8.extract_lane_u(before, 7), i16x8.extract_lane_u(dots, 7));
      before = dots;
    }
    if (chunk + chunkPx >= end) break;
    // What the rows that lag have of this chunk is still to come.
    for (let r = 1; r < 8; r++) {
      const begin = entriesOf(r) - <usize>(r * lagPx * 4);
      for (let i = 0; i < r; i++) {
        v128.store(begin + <usize>(i * 16), v128.load(begin + <usize>(chunkPx * 4 + i * 16)));
      }
    }
  }
  return v128.any_true(anyDots);
}

/** One row of pixels, for what a band has beyond groups of eight. Returns whether any dot was laid. */
export function oneGreyRow(pixels: usize, color: bool, row: i32, maskRow: i32): bool {
  const line = <usize>((maskRow & (maskSide - 1)) * maskSide * 8) + black;
  let a = 0, b = 0, c = 0, right = 0;
  let dots: u32 = 0;
  let anyDots: u32 = 0;
  for (let x = 0; x < widthPx; x++) {
    const error = errors + <usize>(x * 8);
    const entry = color ? lightAt(pixels + <usize>(x * 3)) : greyBlacks + (<i32>load<u8>(pixels + <usize>x) << 1);
    const asked: i32 = load<i16>(<usize>entry);
    let e = 0;
    let dot = asked > full;
    if (asked >= 0 && asked <= full) {
      const place = line + <usize>((x & (maskSide - 1)) * 8);
      const come = load<i16>(error, black) + right;
      dot = asked <= lightest
        ? asked + (come >> 5) > load<i16>(masks + place) && come >= leastError
        : asked + come > (load<i16>(thresholds + place) + asked + 1) >> 1;
      e = asked + come - (dot ? full : 0);
    }
    dots = (dots << 1) | <u32>dot;
    const e16 = e >> 4;
    right = (e >> 1) - e16;
    const sum = a + e - (e >> 1) - (e >> 2) - (e >> 3) - e16;
    a = b + e16;
    b = c + (e >> 3);
    c = (e >> 2) + e16;
    store<u64>(error - 3 * 8, <u64>(<u16>sum) << 48);
    if ((x & 15) == 15) {
      storeDots(row, x - 15, dots);
      anyDots |= dots;
    }
  }
  const after = errors + <usize>((widthPx - 3) * 8);
  store<u64>(after, <u64>(<u16>a) << 48);
  store<u64>(after, <u64>(<u16>b) << 48, 8);
  store<u64>(after, <u64>(<u16>c) << 48, 16);
  return anyDots != 0;
}

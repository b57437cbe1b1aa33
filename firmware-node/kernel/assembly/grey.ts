/**
 * Black alone: eight rows at once, one lane a row, each five pixels behind the one above; otherwise as in color.ts. For grey
 * bands, and for all bands of a printer that has black alone.
 */
import { hasSpecial, notWhite } from "./convert";
import {
  biases, blacks, blockFlags, blockPx, chunkPx, coverageA, errors, full, greys, input, inputStride, lagPx, lights, maskSide,
  noInk, output, outputStride, planeStride, rowThresholds, thresholds, widthPx,
} from "./layout";

/** Black among the four planes of coverage, errors and thresholds: its byte. */
const black: usize = 6;

/** Coverage of a neutral pixel. */
@inline function greyAt(value: u32): i32 {
  return load<i16>(greys + ((<usize>value) << 3), black);
}

/** Coverage of a pixel of sRGB by its light. */
function lightAt(pixel: usize): i32 {
  const r = <u32>load<u8>(pixel);
  const g = <u32>load<u8>(pixel, 1);
  const b = <u32>load<u8>(pixel, 2);
  if ((r | g | b) == 0 || (r & g & b) == 255) return greyAt(r);
  const light = load<u32>(lights + (r << 2)) + load<u32>(lights + (g << 2), 1024) + load<u32>(lights + (b << 2), 2048);
  return load<i16>(blacks + (((light + (1 << 16)) >>> 17) << 1));
}

/** Coverage of a block of 16 pixels, 16 bytes a pixel. Returns flags as `convertBlock` does. */
function convertBlock(from: usize, to: usize, color: bool): i32 {
  let all = v128.load(from);
  if (color) all = v128.and(v128.and(all, v128.load(from, 16)), v128.load(from, 32));
  if (i8x16.all_true(i8x16.eq(all, i8x16.splat(-1)))) {
    fillWhite(to);
    return hasSpecial;
  }
  if (color) {
    for (let i: usize = 0; i < 16; i++) store<i16>(to + i * 16, <i16>lightAt(from + i * 3));
  } else {
    for (let i: usize = 0; i < 16; i++) store<i16>(to + i * 16, <i16>greyAt(load<u8>(from + i)));
  }
  return hasSpecial | notWhite;
}

function fillWhite(to: usize): void {
  for (let i: usize = 0; i < 256; i += 16) store<i16>(to + i, noInk);
}

@inline function coverageOf(row: i32): usize {
  return coverageA + <usize>(row * (lagPx * 16 + 2));
}

/** Rows of grey lie as closely as their bytes allow. */
@inline function rowOfInput(row: i32, color: bool): usize {
  return input + <usize>(row * (color ? inputStride : widthPx));
}

function gatherThresholds(maskRow: i32): void {
  for (let row = 0; row < 8; row++) {
    const line = thresholds + <usize>(((maskRow + row) & (maskSide - 1)) * maskSide * 8);
    for (let x = 0; x < maskSide; x++) {
      const place = <usize>((x - row * lagPx) & (maskSide - 1));
      store<u16>(rowThresholds + <usize>(x * 16 + row * 2), load<u16>(line + place * 8, black));
    }
  }
}

/** 16 dots of one row, the lowest 16 bits of `dots`. */
@inline function storeDots(row: i32, x: i32, dots: u32): void {
  if (x < 0 || x >= widthPx) return;
  store<u16>(output + <usize>(3 * planeStride + row * outputStride + (x >> 3)), bswap<u16>(<u16>dots));
}

/** Dots of row `r` of the eight from `row` on, which lags, from the bits of the block before and of this one. */
@inline function storeLagging(row: i32, r: i32, x: i32, before: u32, dots: u32): void {
  const lag = r * lagPx;
  const both = (before << 16) | dots;
  storeDots(row + r, x - blockPx * ((lag + 15) / 16), both >>> (16 - (lag & 15)));
}

/** Rows `row` to `row` + 7 of the input, which is grey or sRGB. */
export function eightGreyRows(row: i32, maskRow: i32, color: bool): void {
  gatherThresholds(maskRow);
  const zero = i64x2(0, 0);
  const cost = i16x8.splat(<i16>full);
  const bias = i16x8.splat(load<i16>(biases, black));
  let a = zero, b = zero, c = zero, sum = zero, late = zero, right = zero, dots = zero, before = zero;
  for (let lagging = 1; lagging < 8; lagging++) {
    for (let x = 1; x <= lagging * lagPx; x++) store<i16>(coverageOf(lagging) - <usize>(x * 16), noInk);
  }
  // Rows that lag touch three blocks before this one. Left of the page is white.
  let flagsBefore = hasSpecial | (hasSpecial << 8) | (hasSpecial << 16);
  const end = widthPx + 3 * blockPx;
  for (let chunk = 0; chunk < end; chunk += chunkPx) {
    const blocks = min(chunkPx, end - chunk) / blockPx;
    const blocksOnPage = max(0, min(blocks, (widthPx - chunk) / blockPx));
    memory.fill(blockFlags, 0, blocks);
    for (let r = 0; r < 8; r++) {
      let from = rowOfInput(row + r, color) + <usize>(color ? chunk * 3 : chunk);
      let to = coverageOf(r);
      for (let block = 0; block < blocks; block++, to += 256, from += color ? 48 : 16) {
        const flags = blockFlags + <usize>block;
        if (block < blocksOnPage) store<u8>(flags, load<u8>(flags) | convertBlock(from, to, color));
        else fillWhite(to);
      }
    }
    for (let block = 0; block < blocks; block++) {
      const x = chunk + block * blockPx;
      const flags = (flagsBefore << 8) | load<u8>(blockFlags + <usize>block);
      flagsBefore = flags;
      let p = coverageA + <usize>(block * 256);
      let t = rowThresholds + <usize>((x & (maskSide - 1)) * 16);
      let error = errors + <usize>(x * 8);
      const last = error + blockPx * 8;
      const behind: usize = (7 * lagPx + 3) * 8;
      if ((flags & (notWhite * 0x01010101)) == 0) {
        storeError(error - behind, a);
        storeError(error - behind + 8, b);
        storeError(error - behind + 16, c);
        for (let i: usize = 24; i < 128; i += 8) store<u64>(error - behind + i, 0);
        a = b = c = sum = late = right = dots = zero;
      } else {
        for (; error < last; error += 8, p += 16, t += 16) {
          const above = v128.load16_lane(error + black, v128.shuffle<u16>(late, late, 0, 0, 1, 2, 3, 4, 5, 6), 0);
          late = sum;
          const asked = v128.load(p);
          const special = i16x8.gt_u(asked, cost);
          const value = i16x8.add(asked, v128.andnot(i16x8.add(above, right), special));
          const dot = i16x8.gt_s(value, i16x8.add(v128.load(t), i16x8.q15mulr_sat_s(asked, bias)));
          dots = i16x8.sub(i16x8.add(dots, dots), dot);
          const e = v128.andnot(i16x8.sub(value, v128.and(dot, cost)), special);
          const e4 = i16x8.shr_s(e, 2);
          const e8 = i16x8.shr_s(e, 3);
          const e16 = i16x8.shr_s(e, 4);
          right = i16x8.sub(i16x8.shr_s(e, 1), e16);
          const below = i16x8.add(e4, e16);
          sum = i16x8.add(a, i16x8.sub(i16x8.sub(e, right), i16x8.add(i16x8.add(e8, e16), below)));
          a = i16x8.add(b, e16);
          b = i16x8.add(c, e8);
          c = below;
          storeError(error - behind, sum);
        }
      }
      storeDots(row, x, i16x8.extract_lane_u(dots, 0));
      storeLagging(row, 1, x, i16x8.extract_lane_u(before, 1), i16x8.extract_lane_u(dots, 1));
      storeLagging(row, 2, x, i16x8.extract_lane_u(before, 2), i16x8.extract_lane_u(dots, 2));
      storeLagging(row, 3, x, i16x8.extract_lane_u(before, 3), i16x8.extract_lane_u(dots, 3));
      storeLagging(row, 4, x, i16x8.extract_lane_u(before, 4), i16x8.extract_lane_u(dots, 4));
      storeLagging(row, 5, x, i16x8.extract_lane_u(before, 5), i16x8.extract_lane_u(dots, 5));
      storeLagging(row, 6, x, i16x8.extract_lane_u(before, 6), i16x8.extract_lane_u(dots, 6));
      storeLagging(row, 7, x, i16x8.extract_lane_u(before, 7), i16x8.extract_lane_u(dots, 7));
      before = dots;
    }
    if (chunk + chunkPx >= end) break;
    // What the rows that lag have of this chunk is still to come.
    for (let i = 0; i < 7 * lagPx; i++) {
      v128.store(coverageA + <usize>(i * 16), v128.load(coverageA + <usize>((chunkPx + i) * 16)));
    }
  }
}

/** The last row's error for the row below; the colours have none. */
@inline function storeError(to: usize, sum: v128): void {
  store<u64>(to, <u64>(<u16>i16x8.extract_lane_s(sum, 7)) << 48);
}

/** One row, for what a band has beyond groups of eight. */
export function oneGreyRow(row: i32, maskRow: i32, color: bool): void {
  const line = thresholds + <usize>((maskRow & (maskSide - 1)) * maskSide * 8) + black;
  const bias: i32 = load<i16>(biases, black);
  const pixels = rowOfInput(row, color);
  let a = 0, b = 0, c = 0, right = 0;
  let dots: u32 = 0;
  for (let x = 0; x < widthPx; x++) {
    const error = errors + <usize>(x * 8);
    const asked = color ? lightAt(pixels + <usize>(x * 3)) : greyAt(load<u8>(pixels + <usize>x));
    let e = 0;
    let dot = asked > full;
    if (asked >= 0 && asked <= full) {
      const value = asked + load<i16>(error, black) + right;
      dot = value > load<i16>(line + <usize>((x & (maskSide - 1)) * 8)) + ((asked * bias + 16384) >> 15);
      e = value - (dot ? full : 0);
    }
    dots = (dots << 1) | <u32>dot;
    const e16 = e >> 4;
    right = (e >> 1) - e16;
    const below = (e >> 2) + e16;
    const sum = a + e - right - below - (e >> 3) - e16;
    a = b + e16;
    b = c + (e >> 3);
    c = below;
    store<u64>(error - 3 * 8, <u64>(<u16>sum) << 48);
    if ((x & 15) == 15) storeDots(row, x - 15, dots);
  }
  const after = errors + <usize>((widthPx - 3) * 8);
  store<u64>(after, <u64>(<u16>a) << 48);
  store<u64>(after, <u64>(<u16>b) << 48, 8);
  store<u64>(after, <u64>(<u16>c) << 48, 16);
}

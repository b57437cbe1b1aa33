/**
 * Four rows of four planes at once, src/pixels/shiau-fan.ts to the bit. One vector holds two rows × four planes, two vectors
 * the four rows; each row follows five pixels behind the one above, so that the error from above comes out of registers and
 * only the last row's is stored. Error of a row for the row below:
 *
 *     a, b, c   what has come together for the pixels three, two and one left of below
 *     sum       done with this step: for the pixel three left of below
 *     late      `sum` of the step before, which the row below takes up
 */
import { convertBlock, fillWhite, hasSpecial, isWhite, notWhite } from "./convert";
import {
  biases, blockFlags, blockPx, chunkPx, coverageA, coverageB, errors, full, input, inputStride, lagPx, maskSide,
  noInk, output, outputStride, planeStride, rowThresholds, thresholds, whiteBlocks, widthPx,
} from "./layout";

/** Thresholds of four rows from mask row `maskRow` on, 32 bytes a step, each row shifted by its lag. */
function gatherThresholds(maskRow: i32): void {
  for (let row = 0; row < 4; row++) {
    const line = thresholds + <usize>(((maskRow + row) & (maskSide - 1)) * maskSide * 8);
    for (let x = 0; x < maskSide; x++) {
      const place = <usize>((x - row * lagPx) & (maskSide - 1));
      store<u64>(rowThresholds + <usize>(x * 32 + row * 8), load<u64>(line + place * 8));
    }
  }
}

/** Where the coverage of pixel 0 of a row of the chunk lies. */
@inline function coverageOf(row: i32): usize {
  return (row < 2 ? coverageA : coverageB) + <usize>(row * lagPx * 16 + (row & 1) * 8);
}

/**
 * Converts a chunk of a row and adds to the flags of its blocks; blocks beyond the page are white. A block that is white and
 * whose coverage is white from the chunk before needs no work: most of a page of text.
 */
function convertRow(row: i32, from: usize, blocks: i32, blocksOnPage: i32): void {
  let to = coverageOf(row);
  let flags = blockFlags;
  let white = whiteBlocks + <usize>(row * 64);
  for (let block = 0; block < blocks; block++, to += 256, from += 48, flags++, white++) {
    if (block < blocksOnPage && !isWhite(from)) {
      store<u8>(flags, load<u8>(flags) | notWhite | convertBlock(from, to));
      store<u8>(white, 0);
    } else {
      store<u8>(flags, load<u8>(flags) | hasSpecial);
      if (load<u8>(white)) continue;
      fillWhite(to);
      store<u8>(white, 1);
    }
  }
}

@inline function swapBytes(v: v128): v128 {
  return v128.shuffle<u8>(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}

/** Dots of the four planes of one row, 16 pixels, from lanes `first` on. */
@inline function storeDots(to: usize, dots: v128, high: bool): void {
  const plane = <usize>planeStride;
  if (high) {
    v128.store16_lane(to, dots, 4);
    v128.store16_lane(to + plane, dots, 5);
    v128.store16_lane(to + plane * 2, dots, 6);
    v128.store16_lane(to + plane * 3, dots, 7);
  } else {
    v128.store16_lane(to, dots, 0);
    v128.store16_lane(to + plane, dots, 1);
    v128.store16_lane(to + plane * 2, dots, 2);
    v128.store16_lane(to + plane * 3, dots, 3);
  }
}

/** Rows `row` to `row` + 3 of the input; `maskRow` is the first one's place in the mask. */
export function fourRows(row: i32, maskRow: i32): void {
  gatherThresholds(maskRow);
  memory.fill(whiteBlocks, 0, 4 * 64);
  const zero = i64x2(0, 0);
  const cost = i16x8.splat(<i16>full);
  const rightCost = i16x8.splat(<i16>((full / 16) * 7));
  const bias = v128.load(biases);
  let aA = zero, bA = zero, cA = zero, sumA = zero, lateA = zero, rightA = zero, dotsA = zero, beforeA = zero;
  let aB = zero, bB = zero, cB = zero, sumB = zero, lateB = zero, rightB = zero, dotsB = zero, beforeB = zero;
  for (let lagging = 1; lagging < 4; lagging++) {
    for (let x = 1; x <= lagging * lagPx; x++) store<i64>(coverageOf(lagging) - <usize>(x * 16), noInk);
  }
  // A row that lags touches the block before, too. Left of the page is white.
  let flagsBefore = hasSpecial;
  // One block beyond the page lets the rows that lag come to its end.
  const end = widthPx + blockPx;
  for (let chunk = 0; chunk < end; chunk += chunkPx) {
    const blocks = min(chunkPx, end - chunk) / blockPx;
    const blocksOnPage = min(blocks, (widthPx - chunk) / blockPx);
    memory.fill(blockFlags, 0, blocks);
    for (let r = 0; r < 4; r++) {
      convertRow(r, input + <usize>((row + r) * inputStride + chunk * 3), blocks, blocksOnPage);
    }
    for (let block = 0; block < blocks; block++) {
      const x = chunk + block * blockPx;
      const flagsHere: i32 = load<u8>(blockFlags + <usize>block);
      const flags = flagsBefore | flagsHere;
      flagsBefore = flagsHere;
      let pA = coverageA + <usize>(block * 256);
      let pB = coverageB + <usize>(block * 256);
      let t = rowThresholds + <usize>((x & (maskSide - 1)) * 32);
      let error = errors + <usize>(x * 8);
      const last = error + blockPx * 8;
      if ((flags & notWhite) == 0) {
        // All white: no dot, no error but what the pixels before have sent below.
        const behind = error - (3 * lagPx + 3) * 8;
        v128.store64_lane(behind, aB, 1);
        v128.store64_lane(behind, bB, 1, 8);
        v128.store64_lane(behind, cB, 1, 16);
        store<i64>(behind, 0, 24);
        for (let i = 32; i < blockPx * 8; i += 16) v128.store(behind + <usize>i, zero);
        aA = bA = cA = sumA = lateA = rightA = dotsA = zero;
        aB = bB = cB = sumB = lateB = rightB = dotsB = zero;
      } else if ((flags & hasSpecial) == 0) {
        for (; error < last; error += 8, pA += 16, pB += 16, t += 32) {
          const aboveA = v128.load64_lane(error, v128.shuffle<u64>(lateA, lateA, 0, 0), 0);
          const aboveB = v128.shuffle<u64>(lateA, lateB, 1, 2);
          lateA = sumA;
          lateB = sumB;
          const askedA = v128.load(pA);
          const askedB = v128.load(pB);
          const valueA = i16x8.add(i16x8.add(askedA, aboveA), rightA);
          const valueB = i16x8.add(i16x8.add(askedB, aboveB), rightB);
          const dotA = i16x8.gt_s(valueA, i16x8.add(v128.load(t), i16x8.q15mulr_sat_s(askedA, bias)));
          const dotB = i16x8.gt_s(valueB, i16x8.add(v128.load(t, 16), i16x8.q15mulr_sat_s(askedB, bias)));
          dotsA = i16x8.sub(i16x8.add(dotsA, dotsA), dotA);
          dotsB = i16x8.sub(i16x8.add(dotsB, dotsB), dotB);
          rightA = i16x8.sub(
            i16x8.sub(i16x8.shr_s(valueA, 1), i16x8.shr_s(valueA, 4)),
            v128.and(dotA, rightCost),
          );
          rightB = i16x8.sub(
            i16x8.sub(i16x8.shr_s(valueB, 1), i16x8.shr_s(valueB, 4)),
            v128.and(dotB, rightCost),
          );
          const eA = i16x8.sub(valueA, v128.and(dotA, cost));
          const eB = i16x8.sub(valueB, v128.and(dotB, cost));
          const e4A = i16x8.shr_s(eA, 2);
          const e4B = i16x8.shr_s(eB, 2);
          const e8A = i16x8.shr_s(eA, 3);
          const e8B = i16x8.shr_s(eB, 3);
          const e16A = i16x8.shr_s(eA, 4);
          const e16B = i16x8.shr_s(eB, 4);
          const belowA = i16x8.add(e4A, e16A);
          sumA = i16x8.add(aA, i16x8.sub(i16x8.sub(eA, rightA), i16x8.add(i16x8.add(e8A, e16A), belowA)));
          const belowB = i16x8.add(e4B, e16B);
          sumB = i16x8.add(aB, i16x8.sub(i16x8.sub(eB, rightB), i16x8.add(i16x8.add(e8B, e16B), belowB)));
          aA = i16x8.add(bA, e16A);
          aB = i16x8.add(bB, e16B);
          bA = i16x8.add(cA, e8A);
          bB = i16x8.add(cB, e8B);
          cA = belowA;
          cB = belowB;
          v128.store64_lane(error - (3 * lagPx + 3) * 8, sumB, 1);
        }
      } else {
        // The same with pixels among them that take no error and have none.
        for (; error < last; error += 8, pA += 16, pB += 16, t += 32) {
          const aboveA = v128.load64_lane(error, v128.shuffle<u64>(lateA, lateA, 0, 0), 0);
          const aboveB = v128.shuffle<u64>(lateA, lateB, 1, 2);
          lateA = sumA;
          lateB = sumB;
          const askedA = v128.load(pA);
          const askedB = v128.load(pB);
          const specialA = i16x8.gt_u(askedA, cost);
          const specialB = i16x8.gt_u(askedB, cost);
          const valueA = i16x8.add(askedA, v128.andnot(i16x8.add(aboveA, rightA), specialA));
          const valueB = i16x8.add(askedB, v128.andnot(i16x8.add(aboveB, rightB), specialB));
          const dotA = i16x8.gt_s(valueA, i16x8.add(v128.load(t), i16x8.q15mulr_sat_s(askedA, bias)));
          const dotB = i16x8.gt_s(valueB, i16x8.add(v128.load(t, 16), i16x8.q15mulr_sat_s(askedB, bias)));
          dotsA = i16x8.sub(i16x8.add(dotsA, dotsA), dotA);
          dotsB = i16x8.sub(i16x8.add(dotsB, dotsB), dotB);
          const eA = v128.andnot(i16x8.sub(valueA, v128.and(dotA, cost)), specialA);
          const eB = v128.andnot(i16x8.sub(valueB, v128.and(dotB, cost)), specialB);
          const e4A = i16x8.shr_s(eA, 2);
          const e4B = i16x8.shr_s(eB, 2);
          const e8A = i16x8.shr_s(eA, 3);
          const e8B = i16x8.shr_s(eB, 3);
          const e16A = i16x8.shr_s(eA, 4);
          rightA = i16x8.sub(i16x8.shr_s(eA, 1), e16A);
          const e16B = i16x8.shr_s(eB, 4);
          rightB = i16x8.sub(i16x8.shr_s(eB, 1), e16B);
          const belowA = i16x8.add(e4A, e16A);
          sumA = i16x8.add(aA, i16x8.sub(i16x8.sub(eA, rightA), i16x8.add(i16x8.add(e8A, e16A), belowA)));
          const belowB = i16x8.add(e4B, e16B);
          sumB = i16x8.add(aB, i16x8.sub(i16x8.sub(eB, rightB), i16x8.add(i16x8.add(e8B, e16B), belowB)));
          aA = i16x8.add(bA, e16A);
          aB = i16x8.add(bB, e16B);
          bA = i16x8.add(cA, e8A);
          bB = i16x8.add(cB, e8B);
          cA = belowA;
          cB = belowB;
          v128.store64_lane(error - (3 * lagPx + 3) * 8, sumB, 1);
        }
      }
      // A row that lags by 5 has the last 5 pixels of the block before in this block's dots.
      const lag5 = v128.or(i16x8.shl(beforeA, lagPx), i16x8.shr_u(dotsA, 16 - lagPx));
      const lag10 = v128.or(i16x8.shl(beforeB, 2 * lagPx), i16x8.shr_u(dotsB, 16 - 2 * lagPx));
      const lag15 = v128.or(i16x8.shl(beforeB, 3 * lagPx), i16x8.shr_u(dotsB, 16 - 3 * lagPx));
      const to = output + <usize>(row * outputStride + (x >> 3));
      if (x < widthPx) storeDots(to, swapBytes(dotsA), false);
      if (x > 0) {
        const stride = <usize>outputStride;
        storeDots(to + stride - 2, swapBytes(lag5), true);
        storeDots(to + stride * 2 - 2, swapBytes(lag10), false);
        storeDots(to + stride * 3 - 2, swapBytes(lag15), true);
      }
      beforeA = dotsA;
      beforeB = dotsB;
    }
    if (chunk + chunkPx >= end) break;
    // What the rows that lag have of this chunk is still to come.
    for (let r = 1; r < 4; r++) {
      const begin = coverageOf(r) - <usize>(r * lagPx * 16);
      for (let i = 0; i < r * lagPx; i++) {
        store<u64>(begin + <usize>(i * 16), load<u64>(begin + <usize>((chunkPx + i) * 16)));
      }
    }
  }
  const after = errors + <usize>((widthPx - 2) * 8);
  v128.store64_lane(after, aB, 1);
  v128.store64_lane(after, bB, 1, 8);
}

/** One row, for what a band has beyond groups of four. */
export function oneRow(row: i32, maskRow: i32): void {
  const zero = i64x2(0, 0);
  const cost = i16x8.splat(<i16>full);
  const bias = v128.load(biases);
  const line = thresholds + <usize>((maskRow & (maskSide - 1)) * maskSide * 8);
  let a = zero, b = zero, c = zero, right = zero, dots = zero;
  for (let x = 0; x < widthPx; x += blockPx) {
    convertBlock(input + <usize>(row * inputStride + x * 3), coverageA);
    for (let i = 0; i < blockPx; i++) {
      const error = errors + <usize>((x + i) * 8);
      const asked = v128.load64_zero(coverageA + <usize>(i * 16));
      const special = i16x8.gt_u(asked, cost);
      const value = i16x8.add(asked, v128.andnot(i16x8.add(v128.load64_zero(error), right), special));
      const threshold = v128.load64_zero(line + <usize>(((x + i) & (maskSide - 1)) * 8));
      const dot = i16x8.gt_s(value, i16x8.add(threshold, i16x8.q15mulr_sat_s(asked, bias)));
      dots = i16x8.sub(i16x8.add(dots, dots), dot);
      const e = v128.andnot(i16x8.sub(value, v128.and(dot, cost)), special);
      const e4 = i16x8.shr_s(e, 2);
      const e8 = i16x8.shr_s(e, 3);
      const e16 = i16x8.shr_s(e, 4);
      right = i16x8.sub(i16x8.shr_s(e, 1), e16);
      const below = i16x8.add(e4, e16);
      const sum = i16x8.add(a, i16x8.sub(i16x8.sub(e, right), i16x8.add(i16x8.add(e8, e16), below)));
      a = i16x8.add(b, e16);
      b = i16x8.add(c, e8);
      c = below;
      v128.store64_lane(error - 3 * 8, sum, 0);
    }
    storeDots(output + <usize>(row * outputStride + (x >> 3)), swapBytes(dots), false);
  }
  const after = errors + <usize>((widthPx - 3) * 8);
  v128.store64_lane(after, a, 0);
  v128.store64_lane(after, b, 0, 8);
  v128.store64_lane(after, c, 0, 16);
}

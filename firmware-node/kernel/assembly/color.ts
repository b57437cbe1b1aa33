/**
 * Four rows of four planes at once, src/pixels/shiau-fan.ts to the bit. One vector holds two rows × four planes, two vectors (A
 * and B) the four rows; each row follows four pixels behind the one above, so that the error from above comes out of registers
 * and only the last row's is stored. Error of a row for the row below:
 *
 *     a, b, c   what has come together for the pixels three, two and one left of below
 *     sum       done with this step: for the pixel three left of below, which the row below takes up in the next step
 *     carry     what has come to the next pixel from the left and from above
 *
 * A block between `{ // × 4` and `} // × 4` is written four times by build.ts, with 0 to 3 for the constant that it begins with.
 */
import { convertRow, ditherLine, entriesOf, hasSpecial, notWhite, pixelOf } from "./convert";
import { addLeft3, byMask, isDot, leftOf, toBelow, toLeft1, toLeft2, toRight } from "./diffuse";
import {
  blockFlags, blockPx, chunkPx, entries, entriesStride, errors, full, lagPx, leastError, lightest, maskSide, masks, narrowX, output,
  outputStride, planeStride, rowThresholds, thresholds, whiteInks, widthPx,
} from "./layout";

/** How far behind the error that comes the last row's error leaves. */
const behind: usize = (3 * lagPx + 3) * 8;
/** From the entry of a row's pixel to that of the row below which is worked in the same step. */
const nextRow: usize = entriesStride;

// In memory, as in convert.ts.
/** Bytes of a pixel's black for each of its colours, none for black: which lanes they come from. */
const blackLanes = memory.data<u8>([6, 7, 6, 7, 6, 7, 255, 255, 14, 15, 14, 15, 14, 15, 255, 255]);
const notLight: i16 = <i16>lightest + 1;
const notLightLanes = memory.data<i16>([
  notLight, notLight, notLight, notLight, notLight, notLight, notLight, notLight,
]);
const tooLittle: i16 = <i16>leastError - 1;
const tooLittleLanes = memory.data<i16>([
  tooLittle, tooLittle, tooLittle, tooLittle, tooLittle, tooLittle, tooLittle, tooLittle,
]);

/** Thresholds, then masks, of four rows from mask row `maskRow` on, 64 bytes a step, each row shifted by its lag. */
function gatherThresholds(maskRow: i32): void {
  for (let row = 0; row < 4; row++) {
    const line = <usize>(((maskRow + row) & (maskSide - 1)) * maskSide * 8);
    for (let x = 0; x < maskSide; x++) {
      const place = line + <usize>(((x - row * lagPx) & (maskSide - 1)) * 8);
      const to = rowThresholds + <usize>(x * 64 + row * 8);
      store<u64>(to, load<u64>(thresholds + place));
      store<u64>(to, load<u64>(masks + place), 32);
    }
  }
}

/** Where colours lie under a dot of black. */
@inline function underBlack(dot: v128, lanes: v128): v128 {
  return i8x16.relaxed_swizzle(dot, lanes);
}

@inline export function swapBytes(v: v128): v128 {
  return v128.or(i16x8.shl(v, 8), i16x8.shr_u(v, 8));
}

/** Dots of the four planes of one row, 16 pixels or, narrow, 8, from the lower or the upper lanes. */
@inline export function storeDots(to: usize, dots: v128, upper: bool, narrow: bool): void {
  const plane = <usize>planeStride;
  if (narrow) {
    const eight = upper ? v128.shuffle<u64>(dots, dots, 1, 1) : dots;
    v128.store8_lane(to, eight, 0);
    v128.store8_lane(to + plane, eight, 2);
    v128.store8_lane(to + plane * 2, eight, 4);
    v128.store8_lane(to + plane * 3, eight, 6);
  } else if (upper) {
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

/** Coverage of a pixel of two rows. */
@inline function asked(upper: u32, lower: u32): v128 {
  return v128.load64_lane(lower, v128.load64_zero(upper), 1);
}

/** Rows `row` to `row` + 3 of the input; `maskRow` is the first one's place in the mask. Returns the planes with dots. */
export function fourRows(row: i32, maskRow: i32): i32 {
  gatherThresholds(maskRow);
  const zero = i64x2(0, 0);
  const limit = i16x8.splat(<i16>(full + 1));
  const light = v128.load(notLightLanes);
  const less = v128.load(tooLittleLanes);
  const lanes = v128.load(blackLanes);
  let aA = zero, bA = zero, cA = zero, carryA = zero, beforeA = zero;
  let aB = zero, bB = zero, cB = zero, carryB = zero, beforeB = zero;
  let anyDots = zero;
  for (let lagging = 1; lagging < 4; lagging++) {
    for (let x = 1; x <= lagging * lagPx; x++) store<u32>(entriesOf(lagging) - <usize>(x * 4), whiteInks);
  }
  // A row that lags touches the block before, too. Left of the page is white.
  let flagsBefore = hasSpecial;
  // One block beyond the page lets the rows that lag come to its end.
  const end = widthPx + blockPx;
  for (let chunk = 0; chunk < end; chunk += chunkPx) {
    const blocks = min(chunkPx, end - chunk) / blockPx;
    memory.fill(blockFlags, 0, blocks);
    for (let r = 0; r < 4; r++) {
      convertRow(pixelOf(row + r, chunk), entriesOf(r), ditherLine(maskRow + r), blocks, (widthPx - chunk) / blockPx);
    }
    for (let block = 0; block < blocks; block++) {
      const x = chunk + block * blockPx;
      const flagsHere: i32 = load<u8>(blockFlags + <usize>block);
      const flags = flagsBefore | flagsHere;
      flagsBefore = flagsHere;
      let entry = entries + <usize>(block * blockPx * 4);
      let t = rowThresholds + <usize>((x & (maskSide - 1)) * 64);
      let below = errors + <usize>(x * 8) - behind;
      let dotsA = zero;
      let dotsB = zero;
      if ((flags & notWhite) == 0) {
        // All white: no dot, no error but what the pixels before have sent below.
        v128.store64_lane(below, aB, 1);
        v128.store64_lane(below, bB, 1, 8);
        v128.store64_lane(below, cB, 1, 16);
        store<i64>(below, 0, 24);
        for (let i: usize = 32; i < 128; i += 16) v128.store(below + i, zero);
        aA = bA = cA = carryA = zero;
        aB = bB = cB = carryB = zero;
      } else {
        let dots = zero;
        for (let half = 0; half < 2; half++) {
          const last = below + 64;
          dotsA = dots;
          { // × 2
            // Without and with pixels among them that take no error and have none.
            const special: i32 = 0;
            if ((flags & hasSpecial) == special) {
              for (; below < last; below += 32, entry += 16, t += 256) {
                { // × 4
                  const step: usize = 0;
                  const askedA = asked(load<u32>(entry, step * 4), load<u32>(entry, step * 4 + nextRow));
                  const apartA = special ? i16x8.ge_u(askedA, limit) : zero;
                  const allA = i16x8.add(carryA, v128.load64_zero(below, step * 8 + behind));
                  const comeA = special ? v128.andnot(allA, apartA) : allA;
                  const maskedA = byMask(askedA, comeA, v128.load(t, step * 64 + 32));
                  const dotA = isDot(askedA, comeA, v128.load(t, step * 64), maskedA, light, less);
                  const hiddenA = underBlack(dotA, lanes);
                  const noneA = special ? v128.or(hiddenA, apartA) : hiddenA;
                  const eA = i16x8.add(comeA, v128.andnot(leftOf(askedA, dotA), noneA));
                  const sumA = addLeft3(aA, eA);
                  carryA = i16x8.add(toRight(eA), v128.shuffle<u64>(zero, sumA, 0, 2));
                  aA = i16x8.add(bA, toLeft2(eA));
                  bA = i16x8.add(cA, toLeft1(eA));
                  cA = toBelow(eA);
                  const askedB = asked(load<u32>(entry, step * 4 + nextRow * 2), load<u32>(entry, step * 4 + nextRow * 3));
                  const apartB = special ? i16x8.ge_u(askedB, limit) : zero;
                  const comeB = special ? v128.andnot(carryB, apartB) : carryB;
                  const maskedB = byMask(askedB, comeB, v128.load(t, step * 64 + 48));
                  const dotB = isDot(askedB, comeB, v128.load(t, step * 64 + 16), maskedB, light, less);
                  const hiddenB = underBlack(dotB, lanes);
                  const noneB = special ? v128.or(hiddenB, apartB) : hiddenB;
                  const eB = i16x8.add(comeB, v128.andnot(leftOf(askedB, dotB), noneB));
                  const sumB = addLeft3(aB, eB);
                  carryB = i16x8.add(toRight(eB), v128.shuffle<u64>(sumA, sumB, 1, 2));
                  aB = i16x8.add(bB, toLeft2(eB));
                  bB = i16x8.add(cB, toLeft1(eB));
                  cB = toBelow(eB);
                  v128.store64_lane(below, sumB, 1, step * 8);
                  const laidA = i16x8.relaxed_laneselect(maskedA, dotA, hiddenA);
                  const laidB = i16x8.relaxed_laneselect(maskedB, dotB, hiddenB);
                  dots = i8x16.sub(i8x16.add(dots, dots), i8x16.narrow_i16x8_s(laidA, laidB));
                } // × 4
              }
            }
          } // × 2
        }
        // Eight pixels a byte, row after row of four planes, first the earlier ones in `dotsA`.
        const earlier = dotsA;
        dotsA = v128.shuffle<u8>(dots, earlier, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        dotsB = v128.shuffle<u8>(dots, earlier, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        anyDots = v128.or(anyDots, v128.or(dotsA, dotsB));
      }
      // A row that lags by 4 has the last 4 pixels of the block before in this block's dots.
      const lag4 = v128.or(i16x8.shl(beforeA, lagPx), i16x8.shr_u(dotsA, 16 - lagPx));
      const lag8 = v128.or(i16x8.shl(beforeB, 2 * lagPx), i16x8.shr_u(dotsB, 16 - 2 * lagPx));
      const lag12 = v128.or(i16x8.shl(beforeB, 3 * lagPx), i16x8.shr_u(dotsB, 16 - 3 * lagPx));
      const to = output + <usize>(row * outputStride + (x >> 3));
      if (x < widthPx) storeDots(to, swapBytes(dotsA), false, x == narrowX);
      if (x > 0) {
        const stride = <usize>outputStride;
        const narrow = x - blockPx == narrowX;
        storeDots(to + stride - 2, swapBytes(lag4), true, narrow);
        storeDots(to + stride * 2 - 2, swapBytes(lag8), false, narrow);
        storeDots(to + stride * 3 - 2, swapBytes(lag12), true, narrow);
      }
      beforeA = dotsA;
      beforeB = dotsB;
    }
    if (chunk + chunkPx >= end) break;
    // What the rows that lag have of this chunk is still to come.
    for (let r = 1; r < 4; r++) {
      const begin = entriesOf(r) - <usize>(r * lagPx * 4);
      for (let i = 0; i < r; i++) {
        v128.store(begin + <usize>(i * 16), v128.load(begin + <usize>(chunkPx * 4 + i * 16)));
      }
    }
  }
  return planesOf(anyDots);
}

/** Bit 0 cyan, bit 1 magenta, bit 2 yellow, bit 3 black: whether any lane of the plane is not 0. */
@inline function planesOf(dots: v128): i32 {
  const lanes = i16x8.bitmask(i16x8.ne(dots, i16x8.splat(0)));
  return (lanes | (lanes >> 4)) & 15;
}

/** One row, for what a band has beyond groups of four. */
export function oneRow(row: i32, maskRow: i32): i32 {
  const zero = i64x2(0, 0);
  const limit = i16x8.splat(<i16>(full + 1));
  const light = v128.load(notLightLanes);
  const less = v128.load(tooLittleLanes);
  const lanes = v128.load(blackLanes);
  const line = <usize>((maskRow & (maskSide - 1)) * maskSide * 8);
  let a = zero, b = zero, c = zero, right = zero, dots = zero, anyDots = zero;
  for (let x = 0; x < widthPx; x += blockPx) {
    store<u8>(blockFlags, 0);
    convertRow(pixelOf(row, x), entries, ditherLine(maskRow) + <usize>((x & (maskSide - 1)) * 4), 1, 1);
    for (let i = 0; i < blockPx; i++) {
      const error = errors + <usize>((x + i) * 8);
      const asked = v128.load64_zero(<usize>load<u32>(entries + <usize>(i * 4)));
      const apart = i16x8.ge_u(asked, limit);
      const come = v128.andnot(i16x8.add(v128.load64_zero(error), right), apart);
      const place = line + <usize>(((x + i) & (maskSide - 1)) * 8);
      const masked = byMask(asked, come, v128.load64_zero(masks + place));
      const dot = isDot(asked, come, v128.load64_zero(thresholds + place), masked, light, less);
      const hidden = underBlack(dot, lanes);
      dots = i16x8.sub(i16x8.add(dots, dots), i16x8.relaxed_laneselect(masked, dot, hidden));
      const e = i16x8.add(come, v128.andnot(leftOf(asked, dot), v128.or(hidden, apart)));
      right = toRight(e);
      const sum = addLeft3(a, e);
      a = i16x8.add(b, toLeft2(e));
      b = i16x8.add(c, toLeft1(e));
      c = toBelow(e);
      v128.store64_lane(error - 3 * 8, sum, 0);
    }
    anyDots = v128.or(anyDots, dots);
    storeDots(output + <usize>(row * outputStride + (x >> 3)), swapBytes(dots), false, x == narrowX);
  }
  const after = errors + <usize>((widthPx - 3) * 8);
  v128.store64_lane(after, a, 0);
  v128.store64_lane(after, b, 0, 8);
  v128.store64_lane(after, c, 0, 16);
  return planesOf(anyDots);
}

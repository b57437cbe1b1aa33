/**
 * sRGB → addresses of entries of the table of inks, as src/pixels/ink-table.ts says it: four pixels to a vector, 16 to a block.
 * Constants that a loop needs lie in memory: the engine would make them anew at each use, but keeps what was loaded.
 */
import {
  blackNeutrals, blockFlags, blockPx, dithers, entries, entriesStride, greyInks, greyRows, gridSide, inks, input, inputStride,
  lagPx, maskSide, whiteInks, widthPx,
} from "./layout";

/** What a block of 16 pixels holds, so that several blocks are told by or-ing them. */
export const hasSpecial: i32 = 1;
export const notWhite: i32 = 2;

// prettier-ignore
const constants = memory.data<u8>([
  // From 12 bytes, four pixels of 4 bytes: red and green, 16 bits each.
  0, 128, 1, 128, 3, 128, 4, 128, 6, 128, 7, 128, 9, 128, 10, 128,
  // Blue, twice.
  2, 128, 2, 128, 5, 128, 5, 128, 8, 128, 8, 128, 11, 128, 11, 128,
  // From 48 bytes, the red of 16 pixels.
  0, 3, 6, 9, 12, 15, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
  128, 128, 128, 128, 128, 128, 2, 5, 8, 11, 14, 128, 128, 128, 128, 128,
  128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 1, 4, 7, 10, 13,
  // From 16 bytes, each three times.
  0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5,
  5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10,
  10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15,
]);

/** Where the entry of pixel 0 of a row of the chunk lies. */
@inline export function entriesOf(row: i32): usize {
  return entries + <usize>(row * (entriesStride + lagPx * 4));
}

/** Points along an edge of the cube. */
@inline function along(v: v128, dither: v128): v128 {
  return i16x8.shr_u(i16x8.add(i16x8.add(v, i16x8.shr_u(v, 7)), dither), 3);
}

/** Entries of four neutral pixels. */
@inline function greyOf(bb: v128): v128 {
  return i32x4.add(i32x4.shl(v128.and(bb, i32x4.splat(255)), 3), i32x4.splat(greyInks));
}

/** What of four pixels, neutral where `neutral` says so, is laid as it is: white, and black where it is black alone. */
@inline function endsOf(bb: v128, neutral: v128): v128 {
  const white = i32x4.splat(0xff00ff);
  const end = blackNeutrals ? i32x4.splat(0) : white;
  return v128.and(neutral, v128.or(i32x4.eq(bb, end), i32x4.eq(bb, white)));
}

/**
 * Entries of `blocks` blocks of a row from `from` on, to `to`; adds to their flags. What lies beyond `blocksOnPage` is white.
 * `dither` is the row's line of the look-up's mask, at the place of a chunk's first pixel.
 */
export function convertRow(from: usize, to: usize, dither: usize, blocks: i32, blocksOnPage: i32): void {
  const pickRedGreen = v128.load(constants);
  const pickBlue = v128.load(constants, 16);
  const base = i32x4.splat(inks);
  const redGreenSteps = i32x4.splat((gridSide << 19) | ((gridSide * gridSide) << 3));
  const white = i32x4.splat(whiteInks);
  let flags = blockFlags;
  let place: usize = 0;
  for (let block = 0; block < blocks; block++, flags++, from += 48, to += 64) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from, 32);
    const light = i8x16.eq(v128.and(v128.and(a, b), c), i8x16.splat(-1));
    if (block >= blocksOnPage || i8x16.bitmask(light) == 0xffff) {
      v128.store(to, white);
      v128.store(to, white, 16);
      v128.store(to, white, 32);
      v128.store(to, white, 48);
      store<u8>(flags, load<u8>(flags) | hasSpecial);
      place = (place + blockPx * 4) & (maskSide * 4 - 1);
      continue;
    }
    let found = notWhite;
    for (let cell: usize = 0; cell < 2; cell++) {
      const pixels0 = v128.load(from + cell * 24);
      const pixels1 = v128.load(from + cell * 24, 12);
      const rg0 = v128.relaxed_swizzle(pixels0, pickRedGreen);
      const rg1 = v128.relaxed_swizzle(pixels1, pickRedGreen);
      const bb0 = v128.relaxed_swizzle(pixels0, pickBlue);
      const bb1 = v128.relaxed_swizzle(pixels1, pickBlue);
      const dither0 = v128.load(dither + place);
      const dither1 = v128.load(dither + place, 16);
      place = (place + 32) & (maskSide * 4 - 1);
      let entries0 = i32x4.add(
        i32x4.add(i32x4.dot_i16x8_s(along(rg0, dither0), redGreenSteps), base),
        i32x4.shr_u(i32x4.shl(along(bb0, dither0), 16), 13),
      );
      let entries1 = i32x4.add(
        i32x4.add(i32x4.dot_i16x8_s(along(rg1, dither1), redGreenSteps), base),
        i32x4.shr_u(i32x4.shl(along(bb1, dither1), 16), 13),
      );
      const neutral0 = i32x4.eq(rg0, bb0);
      const neutral1 = i32x4.eq(rg1, bb1);
      if (v128.any_true(v128.or(neutral0, neutral1))) {
        const whole = blackNeutrals && i32x4.bitmask(v128.and(neutral0, neutral1)) == 15;
        const grey0 = whole ? neutral0 : endsOf(bb0, neutral0);
        const grey1 = whole ? neutral1 : endsOf(bb1, neutral1);
        entries0 = v128.bitselect(greyOf(bb0), entries0, grey0);
        entries1 = v128.bitselect(greyOf(bb1), entries1, grey1);
        if (v128.any_true(v128.or(grey0, grey1))) found |= hasSpecial;
      }
      v128.store(to + cell * 32, entries0);
      v128.store(to + cell * 32, entries1, 16);
    }
    store<u8>(flags, load<u8>(flags) | found);
  }
}

/** Makes sRGB of so many rows of grey in the input, where they lie: from the last pixel on. */
export function spreadGrey(rows: i32): void {
  const thrice0 = v128.load(constants, 80);
  const thrice1 = v128.load(constants, 96);
  const thrice2 = v128.load(constants, 112);
  for (let at = rows * widthPx - blockPx; at >= 0; at -= blockPx) {
    const greys = v128.load(input + <usize>at);
    const to = input + <usize>(at * 3);
    v128.store(to, v128.relaxed_swizzle(greys, thrice0));
    v128.store(to, v128.relaxed_swizzle(greys, thrice1), 16);
    v128.store(to, v128.relaxed_swizzle(greys, thrice2), 32);
  }
}

/** Tells whether so many rows from row `row` of the input on are neutral in all pixels; then they are in `greyRows`. */
export function takeGrey(row: i32, rows: i32): bool {
  const red0 = v128.load(constants, 32);
  const red1 = v128.load(constants, 48);
  const red2 = v128.load(constants, 64);
  const thrice0 = v128.load(constants, 80);
  const thrice1 = v128.load(constants, 96);
  const thrice2 = v128.load(constants, 112);
  let from = pixelOf(row, 0);
  const end = greyRows + <usize>(rows * widthPx);
  for (let to = greyRows; to < end; to += 16, from += 48) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from, 32);
    const red = v128.or(
      v128.or(v128.relaxed_swizzle(a, red0), v128.relaxed_swizzle(b, red1)),
      v128.relaxed_swizzle(c, red2),
    );
    const sameA = i8x16.eq(a, v128.relaxed_swizzle(red, thrice0));
    const sameB = i8x16.eq(b, v128.relaxed_swizzle(red, thrice1));
    const sameC = i8x16.eq(c, v128.relaxed_swizzle(red, thrice2));
    if (i8x16.bitmask(v128.and(v128.and(sameA, sameB), sameC)) != 0xffff) return false;
    v128.store(to, red);
  }
  return true;
}

/** The line of the look-up's mask for a row of the page. */
@inline export function ditherLine(maskRow: i32): usize {
  return dithers + <usize>((maskRow & (maskSide - 1)) * (maskSide * 4));
}

/** Where pixel `x` of a row of the input lies. */
@inline export function pixelOf(row: i32, x: i32): usize {
  return input + <usize>(row * inputStride + x * 3);
}

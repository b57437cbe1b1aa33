/**
 * sRGB → coverage of four inks, eight pixels at once: tetrahedral interpolation as src/pixels/ink-table.ts says it.
 * A pixel's fractions are sorted by minimum and maximum with the channel in their lowest bits; the channels then say which
 * points to load. Two dot products a pixel weigh the four points, two at a time.
 */
import { gridSide, greys, noInk, offsets, oppositePoint, pairs, singles } from "./layout";

/** A cell holds no `noInk` or `solid`. */
const plain: i32 = 0;
const special: i32 = 1;

// prettier-ignore
@inline function red(a: v128, b: v128): v128 {
  return i16x8.extend_low_i8x16_u(v128.shuffle<u8>(a, b, 0, 3, 6, 9, 12, 15, 26, 29, 0, 0, 0, 0, 0, 0, 0, 0));
}
@inline function green(a: v128, b: v128): v128 {
  return i16x8.extend_low_i8x16_u(v128.shuffle<u8>(a, b, 1, 4, 7, 10, 13, 24, 27, 30, 0, 0, 0, 0, 0, 0, 0, 0));
}
@inline function blue(a: v128, b: v128): v128 {
  return i16x8.extend_low_i8x16_u(v128.shuffle<u8>(a, b, 2, 5, 8, 11, 14, 25, 28, 31, 0, 0, 0, 0, 0, 0, 0, 0));
}

/** Place on an edge of the cube, in 1/256. */
@inline function place(v: v128): v128 {
  return i16x8.add(i16x8.add(i16x8.shl(v, 5), i16x8.shr_u(v, 3)), i16x8.shr_u(v, 7));
}

/** Bytes from a point to the next along the channel that a key's two lowest bits name. */
@inline function stepOf(key: v128): v128 {
  const steps = i16x8(<i16>(gridSide * gridSide * 8), <i16>(gridSide * 8), 8, 0, 0, 0, 0, 0);
  const channel = v128.and(key, i16x8.splat(3));
  return v128.swizzle(steps, i16x8.add(i16x8.mul(channel, i16x8.splat(0x0202)), i16x8.splat(0x0100)));
}

/** Pixel i of eight: the weights are pairs of (first, last) and (second, third), the same in all lanes. */
@inline function weigh(i: usize, firstLast: v128, secondThird: v128): v128 {
  const point = <usize>load<u16>(offsets + i * 2) << 3;
  const second = v128.load64_zero(singles + point + <usize>load<u16>(offsets + i * 2, 16));
  const third = v128.load64_zero(singles + point + <usize>load<u16>(offsets + i * 2, 32));
  const both = v128.shuffle<u16>(second, third, 0, 8, 1, 9, 2, 10, 3, 11);
  return i32x4.shr_s(
    i32x4.add(i32x4.dot_i16x8_s(v128.load(pairs + point * 2), firstLast), i32x4.dot_i16x8_s(both, secondThird)),
    9,
  );
}

/** Weights of pixels i and i + 1 of the four in `firstLast` and `secondThird`. */
@inline function weighTwo(i: usize, fl0: v128, fl1: v128, st0: v128, st1: v128, to: usize): void {
  const inks = i16x8.narrow_i32x4_s(weigh(i, fl0, st0), weigh(i + 1, fl1, st1));
  v128.store64_lane(to, inks, 0);
  v128.store64_lane(to, inks, 1, 16);
}

@inline function lane(v: v128, i: i32): v128 {
  if (i == 0) return v128.shuffle<u32>(v, v, 0, 0, 0, 0);
  if (i == 1) return v128.shuffle<u32>(v, v, 1, 1, 1, 1);
  if (i == 2) return v128.shuffle<u32>(v, v, 2, 2, 2, 2);
  return v128.shuffle<u32>(v, v, 3, 3, 3, 3);
}

/** A cell of eight pixels from `from`; coverage to `to`, 16 bytes a pixel. Returns `special` or `plain`. */
@inline function cell(from: usize, to: usize): i32 {
  const a = v128.load(from);
  const b = v128.load(from, 8);
  const r = red(a, b);
  const g = green(a, b);
  const l = blue(a, b);
  const neutral = v128.and(i16x8.eq(r, g), i16x8.eq(g, l));
  const someNeutral = v128.any_true(neutral);
  if (someNeutral && i16x8.all_true(neutral)) {
    for (let i: usize = 0; i < 8; i++) {
      store<u64>(to + i * 16, load<u64>(greys + (<usize>load<u8>(from + i * 3) << 3)));
    }
    return special;
  }
  const pr = place(r);
  const pg = place(g);
  const pl = place(l);
  const point = i16x8.add(
    i16x8.add(
      i16x8.mul(i16x8.shr_u(pr, 8), i16x8.splat(<i16>(gridSide * gridSide))),
      i16x8.mul(i16x8.shr_u(pg, 8), i16x8.splat(<i16>gridSide)),
    ),
    i16x8.shr_u(pl, 8),
  );
  const low = i16x8.splat(255);
  const kr = i16x8.shl(v128.and(pr, low), 2);
  const kg = v128.or(i16x8.shl(v128.and(pg, low), 2), i16x8.splat(1));
  const kl = v128.or(i16x8.shl(v128.and(pl, low), 2), i16x8.splat(2));
  const most = i16x8.max_s(kr, kg);
  const least = i16x8.min_s(kr, kg);
  const rest = i16x8.min_s(most, kl);
  const large = i16x8.max_s(most, kl);
  const middle = i16x8.max_s(least, rest);
  const small = i16x8.min_s(least, rest);
  v128.store(offsets, point);
  v128.store(offsets, stepOf(large), 16);
  v128.store(offsets, i16x8.sub(i16x8.splat(<i16>(oppositePoint * 8)), stepOf(small)), 32);
  const fl = i16x8.shr_u(large, 2);
  const fm = i16x8.shr_u(middle, 2);
  const fs = i16x8.shr_u(small, 2);
  const w0 = i16x8.sub(i16x8.splat(256), fl);
  const w1 = i16x8.sub(fl, fm);
  const w2 = i16x8.sub(fm, fs);
  const flA = v128.shuffle<u16>(w0, fs, 0, 8, 1, 9, 2, 10, 3, 11);
  const flB = v128.shuffle<u16>(w0, fs, 4, 12, 5, 13, 6, 14, 7, 15);
  const stA = v128.shuffle<u16>(w1, w2, 0, 8, 1, 9, 2, 10, 3, 11);
  const stB = v128.shuffle<u16>(w1, w2, 4, 12, 5, 13, 6, 14, 7, 15);
  weighTwo(0, lane(flA, 0), lane(flA, 1), lane(stA, 0), lane(stA, 1), to);
  weighTwo(2, lane(flA, 2), lane(flA, 3), lane(stA, 2), lane(stA, 3), to + 32);
  weighTwo(4, lane(flB, 0), lane(flB, 1), lane(stB, 0), lane(stB, 1), to + 64);
  weighTwo(6, lane(flB, 2), lane(flB, 3), lane(stB, 2), lane(stB, 3), to + 96);
  if (!someNeutral) return plain;
  // White and black pixels are laid as they are.
  const ends = v128.and(neutral, v128.or(i16x8.eq(r, i16x8.splat(0)), i16x8.eq(r, low)));
  let left = i16x8.bitmask(ends);
  if (left == 0) return plain;
  for (; left != 0; left &= left - 1) {
    const i = <usize>ctz(left);
    store<u64>(to + i * 16, load<u64>(greys + (<usize>load<u8>(from + i * 3) << 3)));
  }
  return special;
}

/** What a block of 16 pixels holds, so that several blocks are told by or-ing them. */
export const hasSpecial: i32 = 1;
export const notWhite: i32 = 2;

/** Whether 16 pixels of sRGB are white. */
@inline export function isWhite(from: usize): bool {
  const all = v128.and(v128.and(v128.load(from), v128.load(from, 16)), v128.load(from, 32));
  return !v128.any_true(v128.not(all));
}

/** A block of 16 pixels of sRGB; coverage to `to`, 16 bytes a pixel. Returns `hasSpecial` or 0. */
export function convertBlock(from: usize, to: usize): i32 {
  return cell(from, to) | cell(from + 24, to + 128);
}

/** Coverage of a block of 16 white pixels. */
export function fillWhite(to: usize): void {
  for (let i: usize = 0; i < 256; i += 16) store<i64>(to + i, noInk);
}

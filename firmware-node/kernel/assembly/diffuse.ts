/** The arithmetic of src/pixels/shiau-fan.ts on vectors, whatever their lanes are. */
import { fullBits } from "./layout";

/** Whether a pixel has a dot by the mask. `come` is the error that has come to it, of pixels that take none 0. */
@inline export function byMask(asked: v128, come: v128, mask: v128): v128 {
  return i16x8.gt_s(i16x8.add(asked, i16x8.shr_s(come, 5)), mask);
}

/** Whether it has one: by the mask where it asks for less than `light` and more error has come than `less`, else by its value. */
@inline export function isDot(
  asked: v128, come: v128, twiceThreshold: v128, masked: v128, light: v128, less: v128,
): v128 {
  const byValue = i16x8.gt_s(i16x8.add(asked, come), i16x8.avgr_u(twiceThreshold, asked));
  const lightDot = v128.and(masked, i16x8.gt_s(come, less));
  return i16x8.relaxed_laneselect(lightDot, byValue, i16x8.gt_s(light, asked));
}

/** What is left of a pixel's value. */
@inline export function leftOf(asked: v128, dot: v128): v128 {
  return i16x8.add(asked, i16x8.shl(dot, fullBits));
}

/** What of an error goes right, below, one, two and three to the left of below. */
@inline export function toRight(e: v128): v128 {
  return i16x8.sub(i16x8.shr_s(e, 1), i16x8.shr_s(e, 4));
}
@inline export function toBelow(e: v128): v128 {
  return i16x8.add(i16x8.shr_s(e, 2), i16x8.shr_s(e, 4));
}
@inline export function toLeft1(e: v128): v128 {
  return i16x8.shr_s(e, 3);
}
@inline export function toLeft2(e: v128): v128 {
  return i16x8.shr_s(e, 4);
}
/** Added to what has come before: the rest, with which nothing is lost. */
@inline export function addLeft3(a: v128, e: v128): v128 {
  const some = i16x8.add(i16x8.shr_s(e, 2), i16x8.shr_s(e, 3));
  return i16x8.add(i16x8.sub(a, some), i16x8.sub(i16x8.sub(e, i16x8.shr_s(e, 1)), i16x8.shr_s(e, 4)));
}

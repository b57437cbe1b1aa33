/** The arithmetic of src/pixels/shiau-fan.ts on vectors, whatever their lanes are. */
import { fullBits } from "./layout";

/** Whether value lies above the threshold. */
@inline export function isDot(value: v128, asked: v128, threshold: v128, bias: v128): v128 {
  return i16x8.gt_s(value, i16x8.add(threshold, i16x8.relaxed_q15mulr_s(asked, bias)));
}

/** A pixel's error. */
@inline export function errorOf(value: v128, dot: v128): v128 {
  return i16x8.add(value, i16x8.shl(dot, fullBits));
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

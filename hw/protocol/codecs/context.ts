/**
 * The strong codec: an adaptive binary range coder that predicts each pixel from ten neighbours. The neighbourhood is that of
 * JBIG's three-line template (ITU-T T.82, without its adaptive pixel), the coder is the carry-propagating one of LZMA with
 * probabilities of 16 bits. A decoder needs 3 KiB of state, two rows of look-back within the band, and one multiplication a
 * pixel. Each band stands alone, so that it does not matter what became of the band before it.
 *
 * Context of a pixel, most significant bit first, pixels outside the band being 0:
 *
 *     row y − 2         x−1  x  x+1          bits 9 to 7
 *     row y − 1    x−2  x−1  x  x+1  x+2     bits 6 to 2
 *     row y        x−2  x−1                  bits 1 to 0
 *
 * A byte of eight pixels is quiet when the byte to its left and the three bytes above it in both rows (left, same column,
 * right) are 0. For a quiet byte one decision comes first, in context 1024: 0, the byte is 0 and nothing more is coded for it;
 * 1, its pixels follow. That makes paper white cheap in bytes and in time.
 *
 * A context holds the probability p ∕ 65536 that the decision is 1, from 32768, and a shift, from 2. After a decision 1,
 * p += (65536 − p) ≫ shift, after a 0, p −= p ≫ shift; then the shift grows by one up to 5. So p stays within 31 to 65505.
 *
 * The coder: range = 2³² − 1, low = 0. bound = (range ≫ 16) × p; a 1 takes range = bound, a 0 takes low += bound and
 * range −= bound. While range < 2²⁴, the top byte of low goes out (carries going back into bytes before it) and both shift
 * left by 8. At the end low + 2²⁴ − 1, its lower 24 bits cleared, goes out; zero bytes at the very end are left out.
 */
import { scratch } from "./scratch.ts";

const quietContext = 1024;
const contexts = quietContext + 1;
const firstShift = 2;
const lastShift = 5;
const smallestRange = 2 ** 24;

/** Grows the neighbourhood by a byte: bits 23 to 16 are the byte to the left, 15 to 8 the byte itself, 7 to 0 the right one. */
function around(bytes: Uint8Array, row: number, column: number, strideBytes: number): number {
  if (row < 0) return 0;
  const left = column > 0 ? bytes[row + column - 1]! : 0;
  const right = column + 1 < strideBytes ? bytes[row + column + 1]! : 0;
  return (left << 16) | (bytes[row + column]! << 8) | right;
}

/** Takes the top bytes of low as they go out, and carries back into them. */
class Output {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** The last byte that a carry can still reach, and how many 0xFF lie behind it. */
  #held = 0;
  #pendingFf = 0;
  /** The first byte is always 0 and is not kept: it is written at −1. */
  #end = -1;

  constructor(limitBytes: number) {
    this.#bytes = scratch(limitBytes);
  }

  get full(): boolean {
    return this.#end + 1 + this.#pendingFf >= this.#bytes.length;
  }

  /** The next byte, with a carry (0 or 1) into those before it. */
  push(byte: number, carry: number): void {
    if (byte === 0xff && carry === 0) {
      this.#pendingFf++;
      return;
    }
    this.#write(this.#held + carry);
    for (; this.#pendingFf > 0; this.#pendingFf--) this.#write(0xff + carry);
    this.#held = byte;
  }

  /** What has been pushed, but for the last byte and zero bytes at the end; undefined when it does not fit below the limit. */
  finish(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#end >= this.#bytes.length) return undefined;
    let end = this.#end;
    while (end > 0 && this.#bytes[end - 1] === 0) end--;
    return this.#bytes.slice(0, end);
  }

  #write(byte: number): void {
    if (this.#end >= 0) this.#bytes[this.#end] = byte;
    this.#end++;
  }
}

/**
 * The encoded bytes, or undefined when they would be `limitBytes` or more. One loop, and its state in 32-bit integers: this is
 * a page's slowest step after the line itself.
 */
export function encodeContext(
  plain: Uint8Array,
  strideBytes: number,
  limitBytes: number,
): Uint8Array<ArrayBuffer> | undefined {
  const output = new Output(limitBytes);
  // Of each context: probability << 3 | shift.
  const states = new Int32Array(contexts).fill((32768 << 3) | firstShift);
  let range = -1;
  let low = 0;
  let carry = 0;
  for (let row = 0; row < plain.length; row += strideBytes) {
    for (let column = 0; column < strideBytes; column++) {
      const byte = plain[row + column]!;
      const left = column > 0 ? plain[row + column - 1]! : 0;
      const above = around(plain, row - strideBytes, column, strideBytes);
      const above2 = around(plain, row - 2 * strideBytes, column, strideBytes);
      const here = (left << 8) | byte;
      const quiet = (above | above2 | left) === 0;
      // Bit 8 stands for the decision of a quiet byte.
      for (let bit = quiet ? 8 : 7, last = quiet && byte === 0 ? 8 : 0; bit >= last; bit--) {
        const context =
          bit === 8
            ? quietContext
            : (((above2 >> (bit + 7)) & 7) << 7) |
              (((above >> (bit + 6)) & 31) << 2) |
              ((here >> (bit + 1)) & 3);
        const isOne = bit === 8 ? last === 0 : ((byte >> bit) & 1) === 1;
        const state = states[context]!;
        const p = state >> 3;
        const shift = state & 7;
        const nextShift = shift < lastShift ? shift + 1 : lastShift;
        const bound = Math.imul(range >>> 16, p);
        if (isOne) {
          range = bound;
          states[context] = ((p + ((65536 - p) >> shift)) << 3) | nextShift;
        } else {
          const sum = (low + bound) | 0;
          if (sum >>> 0 < low >>> 0) carry = 1;
          low = sum;
          range = (range - bound) | 0;
          states[context] = ((p - (p >> shift)) << 3) | nextShift;
        }
        while (range >>> 24 === 0) {
          output.push(low >>> 24, carry);
          carry = 0;
          low <<= 8;
          range <<= 8;
        }
      }
    }
    if (output.full) return undefined;
  }
  const end = (low + 0xffffff) | 0;
  if (end >>> 0 < low >>> 0) carry = 1;
  output.push(end >>> 24, carry);
  // Of a last 0xFF, and of what it holds up, only a byte behind it lets go.
  for (let i = 0; i < 4; i++) output.push(0, 0);
  return output.finish();
}

class Decoder {
  readonly #p = new Uint16Array(contexts).fill(32768);
  readonly #shift = new Uint8Array(contexts).fill(firstShift);
  readonly #coded: Uint8Array;
  #read = 0;
  #range = 0xffffffff;
  #code = 0;

  constructor(coded: Uint8Array) {
    this.#coded = coded;
    for (let i = 0; i < 4; i++) this.#code = this.#code * 256 + this.#next();
  }

  /** Whether all bytes have been looked at. */
  get spent(): boolean {
    return this.#read >= this.#coded.length;
  }

  decision(context: number): number {
    const p = this.#p[context]!;
    const shift = this.#shift[context]!;
    const bound = (this.#range >>> 16) * p;
    const bit = this.#code < bound ? 1 : 0;
    if (bit) {
      this.#range = bound;
      this.#p[context] = p + ((65536 - p) >> shift);
    } else {
      this.#code -= bound;
      this.#range -= bound;
      this.#p[context] = p - (p >> shift);
    }
    if (shift < lastShift) this.#shift[context] = shift + 1;
    while (this.#range < smallestRange) {
      this.#range *= 256;
      // Modulo 2³²: code < range holds for what an encoder made, and must not be relied on for anything else.
      this.#code = (this.#code * 256 + this.#next()) % 2 ** 32;
    }
    return bit;
  }

  #next(): number {
    return this.#coded[this.#read++] ?? 0;
  }
}

/**
 * Fills `plain`. Any bytes can be decoded; false when bytes are left over, which no encoder does. Writes nowhere else, and
 * takes time in proportion to `plain` only.
 */
export function decodeContext(coded: Uint8Array, plain: Uint8Array, strideBytes: number): boolean {
  const decoder = new Decoder(coded);
  for (let row = 0; row < plain.length; row += strideBytes) {
    for (let column = 0; column < strideBytes; column++) {
      const left = column > 0 ? plain[row + column - 1]! : 0;
      const above = around(plain, row - strideBytes, column, strideBytes);
      const above2 = around(plain, row - 2 * strideBytes, column, strideBytes);
      if ((above | above2 | left) === 0 && decoder.decision(quietContext) === 0) {
        plain[row + column] = 0;
        continue;
      }
      let here = left;
      for (let bit = 7; bit >= 0; bit--) {
        const context = (((above2 >> (bit + 7)) & 7) << 7) | (((above >> (bit + 6)) & 31) << 2) | (here & 3);
        here = (here << 1) | decoder.decision(context);
      }
      plain[row + column] = here;
    }
  }
  return decoder.spent;
}

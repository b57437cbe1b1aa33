/**
 * PackBits (Apple; TIFF 6.0 section 9), over the whole band as one run of bytes. A control byte n: 0 to 127, n + 1 bytes
 * follow as they are; 129 to 255, the next byte comes 257 − n times; 128, nothing.
 */
import { scratch } from "./scratch.ts";

/** The encoded bytes, or undefined when they would be `limitBytes` or more. */
export function encodePackBits(plain: Uint8Array, limitBytes: number): Uint8Array<ArrayBuffer> | undefined {
  const out = scratch(limitBytes);
  let end = 0;
  let i = 0;
  let literalsFrom = 0;
  const flush = (to: number): boolean => {
    for (let from = literalsFrom; from < to; from += 128) {
      const count = Math.min(128, to - from);
      if (end + 1 + count > limitBytes) return false;
      out[end++] = count - 1;
      out.set(plain.subarray(from, from + count), end);
      end += count;
    }
    return true;
  };
  while (i < plain.length) {
    const byte = plain[i]!;
    let run = 1;
    while (run < 128 && plain[i + run] === byte) run++;
    // A run of two saves nothing within literals.
    if (run < 3) {
      i += run;
      continue;
    }
    if (!flush(i) || end + 2 > limitBytes) return undefined;
    out[end++] = 257 - run;
    out[end++] = byte;
    i += run;
    literalsFrom = i;
  }
  return flush(i) && end < limitBytes ? out.slice(0, end) : undefined;
}

/** Fills `plain` and returns true, or false unless `coded` gives exactly so many bytes. Writes nowhere else. */
export function decodePackBits(coded: Uint8Array, plain: Uint8Array): boolean {
  let read = 0;
  let written = 0;
  while (read < coded.length) {
    const control = coded[read++]!;
    if (control === 128) continue;
    const count = control < 128 ? control + 1 : 257 - control;
    const taken = control < 128 ? count : 1;
    if (written + count > plain.length || read + taken > coded.length) return false;
    if (control < 128) plain.set(coded.subarray(read, read + count), written);
    else plain.fill(coded[read]!, written, written + count);
    read += taken;
    written += count;
  }
  return written === plain.length;
}

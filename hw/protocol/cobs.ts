/**
 * Consistent Overhead Byte Stuffing (S. Cheshire, M. Baker, IEEE/ACM Trans. Networking 7/2, 1999): no zero byte inside, so
 * that a zero byte ends a frame and a receiver that lost its place finds it again at the next one.
 */

/** Bytes that COBS adds to so many, at most. */
export const cobsOverhead = (sizeBytes: number): number => Math.floor(sizeBytes / 254) + 1;

/** Writes the stuffed form of `source` at `offset` of `target` and returns where it ends. */
export function cobsEncodeInto(source: Uint8Array, target: Uint8Array, offset: number): number {
  let code = offset;
  let end = offset + 1;
  for (let i = 0; i < source.length; i++) {
    const byte = source[i]!;
    if (byte !== 0) target[end++] = byte;
    const run = end - code;
    if (byte === 0 || (run === 255 && i + 1 < source.length)) {
      target[code] = run;
      code = end++;
    }
  }
  target[code] = end - code;
  return end;
}

/**
 * Undoes it in place: the bytes before the returned length are the unstuffed form. -1 when `bytes` is not COBS: a zero byte
 * inside, or a run that points beyond the end. Never grows, so never writes outside.
 */
export function cobsDecodeInPlace(bytes: Uint8Array): number {
  let read = 0;
  let written = 0;
  while (read < bytes.length) {
    const code = bytes[read++]!;
    if (code === 0 || read + code - 1 > bytes.length) return -1;
    for (const end = read + code - 1; read < end; read++) {
      const byte = bytes[read]!;
      if (byte === 0) return -1;
      bytes[written++] = byte;
    }
    if (code < 255 && read < bytes.length) bytes[written++] = 0;
  }
  return written;
}

/** CRC-32 of ISO-HDLC (IEEE 802.3, zlib, PNG): reflected polynomial 0xEDB88320, initial value and final xor 0xFFFFFFFF. */

/** Slicing by four: `tables[n][byte]` is the remainder of the byte followed by n zero bytes. */
const tables = Array.from({ length: 4 }, () => new Uint32Array(256));
for (let byte = 0; byte < 256; byte++) {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++)
    remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  tables[0]![byte] = remainder;
}
for (let n = 1; n < 4; n++) {
  for (let byte = 0; byte < 256; byte++) {
    const before = tables[n - 1]![byte]!;
    tables[n]![byte] = (before >>> 8) ^ tables[0]![before & 255]!;
  }
}
const [t0, t1, t2, t3] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];

/** The CRC-32 of what `crc` is the CRC-32 of, followed by `bytes`; an unsigned number. */
export function crc32(bytes: Uint8Array, crc = 0): number {
  let rest = ~crc;
  let i = 0;
  for (const end = bytes.length - 3; i < end; i += 4) {
    rest ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    rest = t3[rest & 255]! ^ t2[(rest >>> 8) & 255]! ^ t1[(rest >>> 16) & 255]! ^ t0[rest >>> 24]!;
  }
  for (; i < bytes.length; i++) rest = (rest >>> 8) ^ t0[(rest ^ bytes[i]!) & 255]!;
  return ~rest >>> 0;
}

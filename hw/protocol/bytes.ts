/** Little-endian fields of a payload. Neither reader nor writer ever throws on bytes from the line. */

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8");

/** Reads fields one after the other. Beyond the end it reads zeros and `ok` turns false: check it once, at the end. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  ok = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    if (this.#at >= this.#bytes.length) this.ok = false;
    return this.#bytes[this.#at++] ?? 0;
  }

  u16(): number {
    const low = this.u8();
    return low | (this.u8() << 8);
  }

  u32(): number {
    const low = this.u16();
    return low + this.u16() * 65536;
  }

  /** A view of the next `count` bytes; fewer, and not `ok`, when the payload ends first. */
  bytes(count: number): Uint8Array {
    if (count > this.remaining) this.ok = false;
    const part = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return part;
  }

  /** A length byte, and so many bytes of UTF-8 made harmless (`sanitize`). */
  text(): string {
    return sanitize(fromUtf8.decode(this.bytes(this.u8())));
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.bytes(Math.max(0, this.remaining));
  }
}

/** Collects fields. */
export class FieldWriter {
  readonly #bytes: number[] = [];

  u8(value: number): this {
    this.#bytes.push(value & 255);
    return this;
  }

  u16(value: number): this {
    return this.u8(value).u8(value >>> 8);
  }

  u32(value: number): this {
    return this.u16(value & 0xffff).u16(value >>> 16);
  }

  bytes(bytes: Uint8Array): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  /** As `FieldReader.text` reads it; cut at a character's end to at most `maxBytes`. */
  text(text: string, maxBytes = 63): this {
    const clean = utf8.encode(sanitize(text));
    let end = Math.min(clean.length, maxBytes);
    // A byte 10xxxxxx continues a character: do not cut before it.
    while (end < clean.length && end > 0 && (clean[end]! & 0xc0) === 0x80) end--;
    return this.u8(end).bytes(clean.subarray(0, end));
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/**
 * Text from the other side ends in logs, terminals and web pages, and the other side may be anybody's: control characters,
 * format characters (bidirectional overrides among them) and line separators become U+FFFD.
 */
export function sanitize(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "\uFFFD").trim();
}

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Throws RangeError on anything but an even number of hexadecimal digits. */
export function fromHex(hex: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/i.test(hex)) throw new RangeError("not hexadecimal bytes");
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}

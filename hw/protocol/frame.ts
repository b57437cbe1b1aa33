/**
 * Frames on the line: 00 | COBS( type u8 | session u16 | number u16 | payload | CRC-32 u32 ) | 00, all little-endian. The CRC
 * covers everything before it. The zero in front lets the receiver drop what noise left on the line.
 */
import { cobsDecodeInPlace, cobsEncodeInto, cobsOverhead } from "./cobs.ts";
import { crc32 } from "./crc32.ts";

export interface Frame {
  /** What the payload is: one of `frameType` (messages.ts). */
  readonly type: number;
  /** The host's tag of the session, 0 to 65535: frames of an earlier session are dropped. */
  readonly session: number;
  /** Sequence number of a sequenced frame, else a count that tells a newer frame from an older one. Modulo 65536. */
  readonly number: number;
  readonly payload: Uint8Array;
}

const headerBytes = 5;
const crcBytes = 4;

/** Payloads are no longer than this, whatever is negotiated. */
export const maxPayloadBytes = 4096;
/** Payloads of unsequenced frames, which go before anything is negotiated, are no longer than this. */
export const maxControlPayloadBytes = 512;

const maxUnstuffedBytes = headerBytes + maxPayloadBytes + crcBytes;
const maxStuffedBytes = maxUnstuffedBytes + cobsOverhead(maxUnstuffedBytes);

/** The bytes for the line. Throws RangeError when the payload is too long. */
export function encodeFrame({ type, session, number, payload }: Frame): Uint8Array {
  if (payload.length > maxPayloadBytes)
    throw new RangeError(`a payload of ${payload.length} bytes is too long`);
  const plain = new Uint8Array(headerBytes + payload.length + crcBytes);
  const view = new DataView(plain.buffer);
  view.setUint8(0, type);
  view.setUint16(1, session, true);
  view.setUint16(3, number, true);
  plain.set(payload, headerBytes);
  const crcAt = plain.length - crcBytes;
  view.setUint32(crcAt, crc32(plain.subarray(0, crcAt)), true);
  const line = new Uint8Array(plain.length + cobsOverhead(plain.length) + 2);
  const end = cobsEncodeInto(plain, line, 1);
  return line.subarray(0, end + 1);
}

/** The frame between two zero bytes, or undefined when it is damaged. Overwrites `stuffed`; the payload is a view of it. */
function decodeFrame(stuffed: Uint8Array): Frame | undefined {
  const size = cobsDecodeInPlace(stuffed);
  if (size < headerBytes + crcBytes || size > maxUnstuffedBytes) return undefined;
  const view = new DataView(stuffed.buffer, stuffed.byteOffset, size);
  const crcAt = size - crcBytes;
  if (view.getUint32(crcAt, true) !== crc32(stuffed.subarray(0, crcAt))) return undefined;
  return {
    type: view.getUint8(0),
    session: view.getUint16(1, true),
    number: view.getUint16(3, true),
    payload: stuffed.subarray(headerBytes, crcAt),
  };
}

/** Finds the frames in a stream of bytes, however it is cut into pieces. Holds one frame at most; never throws. */
export class FrameReader {
  readonly #stuffed = new Uint8Array(maxStuffedBytes);
  #length = 0;
  #overlong = false;
  /** Pieces between zeros that were no frame: noise, and frames that it hit. */
  damaged = 0;

  /** The frames that end in `bytes`; they own their payloads. */
  push(bytes: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (const byte of bytes) {
      if (byte !== 0) {
        if (this.#length < maxStuffedBytes) this.#stuffed[this.#length++] = byte;
        else this.#overlong = true;
        continue;
      }
      if (this.#length > 0) {
        const frame = this.#overlong ? undefined : decodeFrame(this.#stuffed.slice(0, this.#length));
        if (frame) frames.push(frame);
        else this.damaged++;
      }
      this.#length = 0;
      this.#overlong = false;
    }
    return frames;
  }
}

/** Messages on a byte stream, each preceded by its length as a varint; how a page travels (metafile.proto, Band). */
import {
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  create,
} from "@bufbuild/protobuf";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { PlatenError } from "./error.ts";

export const encodeSizeDelimited = <D extends DescMessage>(desc: D, value: MessageInitShape<D>): Uint8Array =>
  sizeDelimitedEncode(desc, create(desc, value));

const maxVarintBytes = 5;

/** Reads a varint at `offset`; undefined when the bytes end first. */
function readVarint(bytes: Uint8Array, offset: number): { value: number; next: number } | undefined {
  let value = 0;
  for (let i = 0; i < maxVarintBytes; i++) {
    const byte = bytes[offset + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: offset + i + 1 };
  }
  throw new PlatenError("page-invalid", "a message's length takes more than 5 bytes");
}

/**
 * The messages of a byte stream, whatever its fragmentation. A declared length over `maxBytes` is refused before
 * anything is buffered for it; a stream that ends within a message is refused too. Throws `page-invalid`.
 */
export async function* decodeSizeDelimited<D extends DescMessage>(
  desc: D,
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<MessageShape<D>> {
  let parts: Uint8Array[] = [];
  let buffered = 0;
  let needed = 1;
  for await (const part of stream) {
    parts.push(part);
    buffered += part.length;
    if (buffered < needed) continue;
    let bytes = parts.length === 1 ? part : Buffer.concat(parts, buffered);
    for (;;) {
      const length = readVarint(bytes, 0);
      if (!length) {
        needed = bytes.length + 1;
        break;
      }
      if (length.value > maxBytes) {
        throw new PlatenError(
          "page-invalid",
          `a message declares ${length.value} bytes, more than ${maxBytes}`,
        );
      }
      const end = length.next + length.value;
      if (bytes.length < end) {
        needed = end;
        break;
      }
      let message: MessageShape<D>;
      try {
        message = fromBinary(desc, bytes.subarray(length.next, end));
      } catch (cause) {
        throw new PlatenError("page-invalid", `a ${desc.name} cannot be read`, { cause });
      }
      bytes = bytes.subarray(end);
      yield message;
    }
    parts = bytes.length ? [bytes] : [];
    buffered = bytes.length;
  }
  if (buffered) throw new PlatenError("page-invalid", "the stream ends within a message");
}

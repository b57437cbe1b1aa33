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

/**
 * The messages of a byte stream, whatever its fragmentation; each lies in memory of its own, with its bytes fields. A declared
 * length over `maxBytes` is refused before there is memory for it; a stream that ends within a message is refused too. Throws
 * `page-invalid`.
 */
export async function* decodeSizeDelimited<D extends DescMessage>(
  desc: D,
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<MessageShape<D>> {
  let sizeBytes = 0;
  let varintBytes = 0;
  let message: Uint8Array | undefined;
  let filled = 0;
  for await (const part of stream) {
    for (let at = 0; at < part.length; ) {
      if (!message) {
        const byte = part[at++]!;
        sizeBytes += (byte & 0x7f) * 2 ** (7 * varintBytes++);
        if (byte >= 0x80 && varintBytes === maxVarintBytes) {
          throw new PlatenError("page-invalid", "a message's length takes more than 5 bytes");
        }
        if (byte >= 0x80) continue;
        if (sizeBytes > maxBytes) {
          throw new PlatenError(
            "page-invalid",
            `a message declares ${sizeBytes} bytes, more than ${maxBytes}`,
          );
        }
        message = new Uint8Array(sizeBytes);
        filled = 0;
      }
      const taken = part.subarray(at, at + message.length - filled);
      message.set(taken, filled);
      filled += taken.length;
      at += taken.length;
      if (filled < message.length) break;
      yield decoded(desc, message);
      message = undefined;
      sizeBytes = 0;
      varintBytes = 0;
    }
  }
  if (varintBytes > 0) throw new PlatenError("page-invalid", "the stream ends within a message");
}

function decoded<D extends DescMessage>(desc: D, bytes: Uint8Array): MessageShape<D> {
  try {
    return fromBinary(desc, bytes);
  } catch (cause) {
    throw new PlatenError("page-invalid", `a ${desc.name} cannot be read`, { cause });
  }
}

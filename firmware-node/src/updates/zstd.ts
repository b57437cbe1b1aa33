/** Zstandard that depends on nothing but the bytes: neither on how they are cut up, nor on how fast they come. */
import { constants, createZstdCompress } from "node:zlib";

/** A board with 512 MB unpacks with this much of history: level 19's own, 2^23 bytes. */
export const windowLog = 23;

/**
 * Compresses a stream. The end is told only when all that came before it is compressed: with `pipeline` the last bytes come with
 * the end or before it, as chance has it, and the last block is another one then, the same for all who read it but not in its bytes.
 */
export async function* compressZstd(
  parts: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_windowLog]: windowLog };
  const zip = createZstdCompress({ params });
  const compressed = (part: Uint8Array) =>
    new Promise<void>((resolve, reject) => zip.write(part, (error) => (error ? reject(error) : resolve())));
  const feed = async () => {
    for await (const part of parts) await compressed(part);
    zip.end();
  };
  // Whoever reads is told by the stream itself.
  feed().catch((error: Error) => zip.destroy(error));
  yield* zip as AsyncIterable<Uint8Array>;
}

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { buffer } from "node:stream/consumers";
import { zstdDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { compressZstd } from "./zstd.ts";

/** Neither noise nor all the same: 600,000 bytes over few letters, more than four of Zstandard's blocks. */
const data = Buffer.concat(
  Array.from({ length: 18_750 }, (_, index) =>
    createHash("sha256")
      .update(String(index % 4000))
      .digest()
      .map((byte) => 97 + (byte & 7)),
  ),
);

/** The same bytes in pieces; `turns` of the event loop go by before each piece and before the end. */
async function* pieces(bytes: number, turns: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += bytes) {
    for (let turn = 0; turn < turns; turn++) await setImmediate();
    yield data.subarray(at, at + bytes);
  }
  for (let turn = 0; turn < turns; turn++) await setImmediate();
}

test("the same bytes are compressed to the same bytes, however they are cut up and whenever they come", async () => {
  const made = new Set<string>();
  for (const bytes of [data.length, 262_144, 131_072, 100_001, 4096]) {
    for (const turns of [0, 1, 40]) {
      if (turns === 40 && bytes === 4096) continue;
      const compressed = await buffer(compressZstd(pieces(bytes, turns), 3));
      expect(zstdDecompressSync(compressed).equals(data)).toBe(true);
      made.add(createHash("sha256").update(compressed).digest("hex"));
    }
  }
  expect(made.size).toBe(1);
});

test("a source that fails ends the stream with its error", async () => {
  async function* broken() {
    yield data.subarray(0, 1000);
    throw new Error("no more");
  }
  await expect(buffer(compressZstd(broken(), 3))).rejects.toThrow("no more");
});

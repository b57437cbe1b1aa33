import { seededRandom, simulatedCapabilities } from "@platen/hw/link";
import { decodeBand, digestBands, stripBands } from "@platen/hw/protocol";
import { expect, test } from "vitest";
import { randomSheet } from "../testing/print-sheets.ts";
import { inlinePacker, ThreadedPacker } from "./serial-packer.ts";

const strideBytes = 75;
const rowsPx = 48;
const engine = { ...simulatedCapabilities, maxBandBytes: 20 * strideBytes };

/** Strips of random planes. */
const strips = randomSheet(seededRandom(4)).strips.map((planes, i) => ({
  yPx: i * rowsPx,
  rowsPx,
  strideBytes,
  planes: [...planes].map(([colorant, bits]) => ({ colorant, bits })),
}));

test("what the thread packs unpacks to the planes, with the sheet's digest, and leaves them alone", async () => {
  await using packer = new ThreadedPacker();
  let digest = 0;
  for (const strip of strips) {
    const before = structuredClone(strip);
    const packed = await packer.pack(strip, digest, engine);
    const plain = [...stripBands(strip, engine)];
    expect(packed).toEqual(await inlinePacker.pack(strip, digest, engine));
    expect(packed.bands.map(({ colorant, yPx }) => ({ colorant, yPx }))).toEqual(
      plain.map(({ colorant, yPx }) => ({ colorant, yPx })),
    );
    for (const [i, { codec, bytes }] of packed.bands.entries()) {
      const bits = new Uint8Array(plain[i]!.bits.length);
      expect(decodeBand(codec, bytes, bits, strideBytes)).toBe(true);
      expect(bits).toEqual(plain[i]!.bits);
    }
    digest = digestBands(digest, plain);
    expect(packed.digest).toBe(digest);
    expect(strip).toEqual(before);
  }
  expect(strips.length).toBeGreaterThan(1);
});

test("planes in shared memory are packed where they lie", async () => {
  await using packer = new ThreadedPacker();
  const shared = strips.map((strip) => ({
    ...strip,
    planes: strip.planes.map(({ colorant, bits }) => {
      const own = new Uint8Array(new SharedArrayBuffer(bits.length));
      own.set(bits);
      return { colorant, bits: own };
    }),
  }));
  for (const [i, strip] of shared.entries()) {
    expect(await packer.pack(strip, 0, engine)).toEqual(await inlinePacker.pack(strips[i]!, 0, engine));
  }
});

test("a packer that crashes says so, and packs again", async () => {
  await using packer = new ThreadedPacker(new URL("../testing/fragile-packer.ts", import.meta.url));
  const strip = strips[0]!;
  await expect(packer.pack({ ...strip, yPx: 13 }, 0, engine)).rejects.toMatchObject({
    code: "internal",
    message: "the packing thread has crashed: it ended with 3",
  });
  expect(await packer.pack(strip, 0, engine)).toEqual(await inlinePacker.pack(strip, 0, engine));
});

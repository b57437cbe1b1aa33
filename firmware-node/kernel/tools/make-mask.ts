/** `node make-mask.ts` writes ../../src/pixels/blue-noise.ts; `blueNoiseSource` is what it writes. */
import { writeFileSync } from "node:fs";
import { voidAndCluster } from "./void-and-cluster.ts";

const side = 128;
const seed = 1;

/** A module with the mask's ranks, row by row. */
export function blueNoiseSource(): string {
  const ranks = voidAndCluster(side, seed);
  const bytes = Uint8Array.from([...ranks].flatMap((rank) => [rank & 255, rank >> 8]));
  const lines = Buffer.from(bytes)
    .toString("base64")
    .match(/.{1,108}/g)!;
  return `/** A blue-noise mask, made by kernel/tools/make-mask.ts: not to be edited. */

export const maskSide = ${side};

const text = \`
${lines.join("\n")}
\`;

const bytes = atob(text);

/** 0 to 16383, each once, row by row; it joins itself without a seam on all sides. */
export const maskRanks = Uint16Array.from(
  { length: maskSide * maskSide },
  (_, i) => bytes.charCodeAt(i * 2) | (bytes.charCodeAt(i * 2 + 1) << 8),
);

/** The same as 0 to 255, each as often. */
export const maskValues = Uint8Array.from(maskRanks, (rank) => rank >> 6);
`;
}

if (import.meta.main) {
  writeFileSync(new URL("../../src/pixels/blue-noise.ts", import.meta.url), blueNoiseSource());
}

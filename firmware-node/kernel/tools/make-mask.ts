/** `node make-mask.ts` writes ../../src/pixels/blue-noise.ts; `blueNoiseSource` is what it writes. */
import { writeFileSync } from "node:fs";
import { voidAndCluster } from "./void-and-cluster.ts";

const side = 128;
const seed = 1;

/** A module with the mask's 256 levels, row by row. */
export function blueNoiseSource(): string {
  const ranks = voidAndCluster(side, seed);
  const levels = Uint8Array.from(ranks, (rank) => Math.floor((rank * 256) / (side * side)));
  const lines = Buffer.from(levels)
    .toString("base64")
    .match(/.{1,108}/g)!;
  return `/** A blue-noise mask, made by kernel/tools/make-mask.ts: not to be edited. */

export const maskSide = ${side};

const text = \`
${lines.join("\n")}
\`;

/** 0 to 255, each as often, row by row; it joins itself without a seam on all sides. */
export const maskValues = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
`;
}

if (import.meta.main) {
  writeFileSync(new URL("../../src/pixels/blue-noise.ts", import.meta.url), blueNoiseSource());
}

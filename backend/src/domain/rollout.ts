/** Which printers a rollout is for. */
import { createHash } from "node:crypto";
import type { PrinterId } from "./ids.ts";

/** Parts of a whole that `percent` is counted in: hundredths of a percent. */
const parts = 10_000;

/**
 * Where a printer stands in the rollout of a version, 0 to 99.99: always the same place, and another one for another version,
 * so that it is not always the same printers that go first.
 */
export function placeOf(printerId: PrinterId, version: string): number {
  const hash = createHash("sha256").update(["platen.rollout.v1", version, printerId].join("\0")).digest();
  return ((hash.readUInt32BE(0) % parts) / parts) * 100;
}

/** Whether the printer is among the first `percent` of all. A higher percentage only adds printers. */
export const isIncluded = (printerId: PrinterId, version: string, percent: number): boolean =>
  placeOf(printerId, version) < percent;

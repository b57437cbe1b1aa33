/** What the simulated engine says of itself unless told otherwise. */
import type { Capabilities } from "../../protocol/index.ts";
import type { Mechanics } from "./engine-device.ts";

export const simulatedCapabilities: Capabilities = {
  makeAndModel: "Platen simulated engine",
  serialNumber: "0",
  firmwareVersion: "1.0.0",
  colorants: ["cyan", "magenta", "yellow", "black"],
  resolutionsDpi: [300, 600, 1200],
  codecs: ["raw", "packbits", "delta-row", "context"],
  duplex: true,
  maxWidthPx: 14_173,
  maxHeightPx: 60_000,
  // 64 rows of A4 at 600 dpi.
  maxBandBytes: 40_960,
  maxPayloadBytes: 1024,
  windowFrames: 64,
  feed: "pauses",
};

/** A desktop engine: A4 at 600 dpi in three seconds once it is warm. */
export const desktopMechanics: Mechanics = { warmUpMs: 1500, feedMs: 250, ejectMs: 250, rowsPerSecond: 2800 };

/** Memory of the simulated engine for messages, in credit. */
export const simulatedCapacityBytes = 262_144;

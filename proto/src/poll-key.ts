/** What a printer shows instead of its key: where it polls without TLS, and where it fetches bundles. */
import { createHash } from "node:crypto";

const sha256Hex = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The poll key of a printer's key whose SHA-256 is `keyHashHex`: the backend, which keeps no more than that, can check it. */
export const pollKeyOfHash = (keyHashHex: string): string => sha256Hex(`platen.poll.v1\0${keyHashHex}`);

/**
 * The poll key of a printer's key. It opens PollPrinterQueue and nothing else, and does not lead back to the key: whoever
 * reads it off the wire learns when a job is ready, and can neither fetch it nor speak for the printer.
 */
export const pollKeyOf = (printerKey: string): string => pollKeyOfHash(sha256Hex(printerKey));

/** The update key of a printer's key whose SHA-256 is `keyHashHex`, for the bundle whose SHA-256 is `bundleSha256Hex`. */
export const updateKeyOfHash = (keyHashHex: string, bundleSha256Hex: string): string =>
  sha256Hex(`platen.update.v1\0${keyHashHex}\0${bundleSha256Hex}`);

/** The update key of a printer's key: it opens that one bundle, and does not lead back to the key. */
export const updateKeyOf = (printerKey: string, bundleSha256Hex: string): string =>
  updateKeyOfHash(sha256Hex(printerKey), bundleSha256Hex);

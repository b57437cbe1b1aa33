/** What levels of ink mean for a printer's state (RFC 8011 section 5.4.12). */
import { PrinterStateReason } from "./gen/platen/v1/printer_pb.ts";

/** An ink with less than this left is low, percent. */
const lowPercent = 10;

/**
 * `marker-supply-empty` and `marker-supply-low`, once each, where some ink has run out or is about to. A supply whose level is
 * not known gives no reason.
 */
export function supplyReasons(
  supplies: readonly { readonly levelPercent?: number | undefined }[],
): PrinterStateReason[] {
  const levels = supplies.map(({ levelPercent }) => levelPercent ?? 100);
  return [
    ...(levels.some((level) => level === 0) ? [PrinterStateReason.MARKER_SUPPLY_EMPTY] : []),
    ...(levels.some((level) => level > 0 && level < lowPercent)
      ? [PrinterStateReason.MARKER_SUPPLY_LOW]
      : []),
  ];
}

/** Why an engine on a serial line cannot print, in the words of the driver port. */
import { ownVersions, type Reason, type Status } from "@platen/hw/protocol";
import { PrinterStateReason } from "@platen/proto";
import { EngineFault } from "../ports/engine-driver.ts";

const reasonOf: Readonly<Record<Reason, PrinterStateReason>> = {
  "media-empty": PrinterStateReason.MEDIA_EMPTY,
  "media-needed": PrinterStateReason.MEDIA_NEEDED,
  "media-jam": PrinterStateReason.MEDIA_JAM,
  "marker-supply-empty": PrinterStateReason.MARKER_SUPPLY_EMPTY,
  "marker-supply-low": PrinterStateReason.MARKER_SUPPLY_LOW,
  "cover-open": PrinterStateReason.COVER_OPEN,
  "output-area-full": PrinterStateReason.OUTPUT_AREA_FULL,
  "fuser-over-temp": PrinterStateReason.ENGINE_FAULT,
  "fuser-under-temp": PrinterStateReason.ENGINE_FAULT,
  "marker-waste-full": PrinterStateReason.ENGINE_FAULT,
  "engine-fault": PrinterStateReason.ENGINE_FAULT,
};

/** The engine was there and is not. */
export const offline = (message: string): EngineFault =>
  new EngineFault([PrinterStateReason.ENGINE_OFFLINE], message);

/** No engine has answered yet. `problem`: what is wrong with the port, or empty. */
export const connecting = (problem: string): EngineFault =>
  new EngineFault(
    [PrinterStateReason.CONNECTING_TO_DEVICE, PrinterStateReason.ENGINE_OFFLINE],
    `no engine answers on the serial port${problem && `: ${problem}`}`,
  );

const namesOf = (reasons: readonly Reason[]): PrinterStateReason[] => [
  ...new Set(reasons.map((reason) => reasonOf[reason])),
];

/** What the engine says though it prints. */
export const warningsOf = ({ state, reasons }: Status): PrinterStateReason[] =>
  state === "stopped" ? [] : namesOf(reasons);

/** Why the engine stands still, as its status says. */
export function faultOf({ reasons, refusal, message }: Status): EngineFault {
  const names = namesOf(reasons);
  const refused = refusal === "none" || refusal === "stopped" ? "" : `the engine refused a page: ${refusal}`;
  const words = refused || message || reasons.join(", ") || "the engine stopped";
  return new EngineFault(names.length > 0 ? names : [PrinterStateReason.ENGINE_FAULT], words);
}

/** An engine of other versions of the link. */
export const versionsApart = (engineMinVersion: number, engineMaxVersion: number): EngineFault =>
  offline(
    `the engine speaks versions ${engineMinVersion} to ${engineMaxVersion} of the engine link, this controller ${ownVersions.minVersion} to ${ownVersions.maxVersion}: update the older of the two`,
  );

export const sameFault = (a: EngineFault | undefined, b: EngineFault): boolean =>
  a?.message === b.message && String(a.reasons) === String(b.reasons);

/** How a test stand stands, as JSON for whoever looks at it. */
import { noJob } from "../../protocol/index.ts";
import type { PrintedSide } from "../engine-model.ts";
import type { LineCounts, LineFaults } from "../link/faulty-line.ts";
import type { EngineStats } from "../link/simulated-engine.ts";
import { previewFactor } from "./pictures.ts";
import type { EngineStand, KeptSheet } from "./stand.ts";

export interface SideView {
  readonly side: PrintedSide["side"];
  readonly widthPx: number;
  readonly heightPx: number;
  readonly previewFactor: number;
  /** Rows that are on the paper with all their inks. */
  readonly rowsPrinted: number;
}

export interface SheetView {
  readonly id: number;
  readonly jobName: string;
  readonly sheetNumber: number;
  readonly stacked: boolean;
  readonly sides: readonly SideView[];
}

export interface StandView {
  readonly isOn: boolean;
  readonly makeAndModel: string;
  readonly state: string;
  /** Reasons in the words of RFC 8011. */
  readonly reasons: readonly string[];
  readonly troubles: readonly string[];
  readonly refusal: string;
  readonly message: string;
  /** Empty without a job. */
  readonly jobKey: string;
  readonly sheetsStacked: number;
  readonly inks: readonly { readonly ink: string; readonly percent: number | undefined }[];
  readonly paperLeft: number | undefined;
  readonly counts: { readonly fed: number; readonly stacked: number; readonly wasted: number };
  readonly link: EngineStats | undefined;
  readonly line: { readonly faults: LineFaults; readonly forth: LineCounts; readonly back: LineCounts };
  readonly sheets: readonly SheetView[];
}

function sheetView({ id, jobName, sheet, sides }: KeptSheet, rowsOfLast?: number): SheetView {
  const views = sides.map((side, i): SideView => {
    const { widthPx, heightPx } = side;
    const isAtWork = rowsOfLast !== undefined && i === sides.length - 1;
    const rowsPrinted = isAtWork ? rowsOfLast : heightPx;
    return { side: side.side, widthPx, heightPx, previewFactor: previewFactor(side), rowsPrinted };
  });
  return { id, jobName, sheetNumber: sheet.sheetNumber, stacked: rowsOfLast === undefined, sides: views };
}

export function viewOf(stand: EngineStand): StandView {
  const { model, engine, forth, back } = stand;
  const status = engine?.status;
  const inPath = stand.sheetInPath;
  return {
    isOn: engine !== undefined,
    makeAndModel: engine?.capabilities.makeAndModel ?? "",
    state: status?.state ?? "off",
    reasons: status?.reasons ?? [],
    troubles: model.troubles,
    refusal: status?.refusal ?? "none",
    message: status?.message ?? "",
    jobKey: status && status.jobKey !== noJob ? status.jobKey : "",
    sheetsStacked: status?.sheetsStacked ?? 0,
    inks: model.inks.map((ink) => ({ ink, percent: model.inkPercent(ink) })),
    paperLeft: model.paperLeft,
    counts: { ...model.counts },
    link: engine?.stats,
    line: { faults: forth.faults, forth: { ...forth.counts }, back: { ...back.counts } },
    sheets: [
      ...stand.sheets.map((kept) => sheetView(kept)),
      ...(inPath ? [sheetView(inPath, engine?.stats.rowsFinal ?? 0)] : []),
    ],
  };
}

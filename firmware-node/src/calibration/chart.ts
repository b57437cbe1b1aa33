/**
 * The calibration chart: step wedges of each ink, patches in an order without order, so that what drifts across the sheet (the
 * engine's heat, the scanner's lamp) does not pass for a tone. Marks at the corners tell a reader where the patches lie, a
 * fifth one beside the first which way is up.
 */
import type { Colorant } from "../pixels/halftoner.ts";

/** Coverage of the steps, closest where the eye is keenest. */
export const steps: readonly number[] = [
  0, 1, 2, 3, 4, 6, 8, 10, 12.5, 15, 17.5, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 98,
  100,
].map((percent) => percent / 100);

/** Each step comes so often, in different places. */
const repeats = 2;
const columns = 16;
/** Micrometres. */
export const patchUm = 10_000;
const markUm = 5000;
/** From the middle of a mark to the outermost patches. */
const markGapUm = 7500;

export interface Patch {
  readonly ink: Colorant;
  /** 0 to 1. */
  readonly asked: number;
  /** Its middle, micrometres from the middle of the first mark. */
  readonly xUm: number;
  readonly yUm: number;
}

export interface Chart {
  readonly patches: readonly Patch[];
  /** From the middle of the first mark to the middles of those right of it and below it, micrometres. */
  readonly widthUm: number;
  readonly heightUm: number;
  /** Middles of all marks: above left, above right, below left, below right, and the one that tells the top. */
  readonly marks: readonly { readonly xUm: number; readonly yUm: number }[];
  /** Edge of a mark, micrometres. */
  readonly markUm: number;
}

/** The same order every time: who reads a chart knows it. */
function shuffled<T>(items: readonly T[]): T[] {
  const order = [...items];
  let state = 20_131;
  for (let i = order.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (i + 1));
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}

/** The chart for an engine's inks. */
export function chartOf(inks: readonly Colorant[]): Chart {
  const wanted = inks.flatMap((ink) =>
    steps.flatMap((asked) => Array.from({ length: repeats }, () => ({ ink, asked }))),
  );
  const rows = Math.ceil(wanted.length / columns);
  const patches = shuffled(wanted).map((patch, i) => ({
    ...patch,
    xUm: markGapUm + ((i % columns) + 0.5) * patchUm,
    yUm: markGapUm + (Math.floor(i / columns) + 0.5) * patchUm,
  }));
  const [widthUm, heightUm] = [columns * patchUm + 2 * markGapUm, rows * patchUm + 2 * markGapUm];
  const marks = [
    { xUm: 0, yUm: 0 },
    { xUm: widthUm, yUm: 0 },
    { xUm: 0, yUm: heightUm },
    { xUm: widthUm, yUm: heightUm },
    { xUm: 2 * markUm, yUm: 0 },
  ];
  return { patches, widthUm, heightUm, marks, markUm };
}

/**
 * Calibration: a step wedge of each ink is printed and measured, and what the measurement says is undone, so that an ink
 * covers as much as it is asked for.
 */
import { InkError } from "./error.ts";

/** Steps from 0 to 1, ascending: coverage asked for, and the effective coverage that came of it, both 0 to 1. */
export type Wedge = readonly { readonly asked: number; readonly measured: number }[];
/** Coverage to lay for coverage wanted, both 0 to 1. */
export type Curve = (wanted: number) => number;

const same: Curve = (wanted) => wanted;

/** Difference of measured coverage that counts, so that a plateau is one place of the curve. */
const least = 1e-4;

/**
 * Slopes at the knots of the monotone cubic through them (F. N. Fritsch and J. Butland, SIAM J. Sci. Stat. Comput. 5 (1984)):
 * smooth, and never beyond the knots on either side.
 */
function slopesOf(x: readonly number[], y: readonly number[]): number[] {
  const widths = x.slice(1).map((to, i) => to - x[i]!);
  const chords = widths.map((width, i) => (y[i + 1]! - y[i]!) / width);
  return x.map((_, i) => {
    const [before, after] = [chords[i - 1], chords[i]];
    if (before === undefined || after === undefined) return before ?? after ?? 1;
    if (before === 0 || after === 0) return 0;
    const [w1, w2] = [widths[i - 1]! + 2 * widths[i]!, 2 * widths[i - 1]! + widths[i]!];
    return (w1 + w2) / (w2 / before + w1 / after);
  });
}

/**
 * The curve that undoes what a wedge measured: a smooth one through its steps, with paper at 0 and the ink's own solid at 1. The
 * ends stay what they are: no ink is no ink, and all is all. Where several steps look the same, the least ink will do; where
 * the first ones show nothing, what is wanted begins after them.
 */
export function linearisation(steps: Wedge): Curve {
  const [first, last] = [steps[0]!.measured, steps.at(-1)!.measured];
  if (last <= first) throw new InkError("configuration", "a calibration wedge gets no darker");
  const knots: { measured: number; asked: number }[] = [];
  for (const { measured, asked } of steps) {
    const share = (measured - first) / (last - first);
    const before = knots.at(-1);
    if (!before || share > before.measured + least) knots.push({ measured: share, asked });
    else if (knots.length === 1) before.asked = asked;
  }
  const [x, y] = [knots.map(({ measured }) => measured), knots.map(({ asked }) => asked)];
  const slopes = slopesOf(x, y);
  return (wanted) => {
    if (wanted <= 0 || wanted >= 1) return Math.min(1, Math.max(0, wanted));
    const above = x.findIndex((measured) => measured > wanted);
    if (above < 0) return y.at(-1)!;
    const i = above - 1;
    const width = x[above]! - x[i]!;
    const t = (wanted - x[i]!) / width;
    // Hermite's cubic.
    const [t2, t3] = [t * t, t * t * t];
    return (
      (2 * t3 - 3 * t2 + 1) * y[i]! +
      (3 * t2 - 2 * t3) * y[above]! +
      width * ((t3 - 2 * t2 + t) * slopes[i]! + (t3 - t2) * slopes[above]!)
    );
  };
}

/** Wedges by ink; an ink without one is as it should be. */
export type Wedges = Partial<Record<"cyan" | "magenta" | "yellow" | "black", Wedge>>;

/** Curves of cyan, magenta, yellow, black. Throws `configuration` for a wedge that gets no darker. */
export const curvesOf = ({ cyan, magenta, yellow, black }: Wedges): Curve[] =>
  [cyan, magenta, yellow, black].map((steps) => (steps ? linearisation(steps) : same));

/** Measured patches, and the step wedges that come of them. */
import { PlatenError } from "@platen/proto";
import type { Wedge, Wedges } from "../color/calibration.ts";
import type { Colorant } from "../pixels/halftoner.ts";

export interface Measurement {
  readonly ink: Colorant;
  /** Coverage asked for, 0 to 1. */
  readonly asked: number;
  /** Of the light that the ink takes most of, 0 to 1. */
  readonly reflectance: number;
}

/** Fewer steps say too little about a curve. */
const stepsMin = 8;
/** What a wedge may turn back, as a share of its range, and still be noise. */
const noiseMax = 0.04;
/** Least difference of reflectance between paper and solid ink. */
const rangeMin = 0.1;

const refuse = (what: string): never => {
  throw new PlatenError("invalid-argument", what);
};

const colorants: readonly Colorant[] = ["cyan", "magenta", "yellow", "black"];
const columnNames = ["reflectance", "density"] as const;

/**
 * Measured values as CSV: a line that names the columns, `ink,asked,reflectance` or `ink,asked,density`, then one line a patch,
 * asked in percent, reflectance 0 to 1. Throws `invalid-argument`, which names the line.
 */
export function parseMeasurements(csv: string): Measurement[] {
  const [header, ...lines] = csv
    .split(/\r?\n/)
    .map((line) => line.split(",").map((cell) => cell.trim().toLowerCase()));
  const column = columnNames.find((name) => header?.join() === `ink,asked,${name}`);
  if (!column)
    return refuse("the measurements begin with neither ink,asked,reflectance nor ink,asked,density");
  return lines.flatMap(([ink, asked, value, ...more], i): Measurement[] => {
    if (!ink && asked === undefined) return [];
    const measured = Number.parseFloat(value ?? "");
    const reflectance = column === "density" ? 10 ** -measured : measured;
    const share = Number.parseFloat(asked ?? "") / 100;
    const colorant = colorants.find((name) => name === ink);
    if (
      !colorant ||
      more.length ||
      !(share >= 0 && share <= 1) ||
      !(reflectance >= 0 && reflectance <= 1.2)
    ) {
      return refuse(`line ${i + 2} of the measurements is no ink, percentage and ${column}`);
    }
    return [{ ink: colorant, asked: share, reflectance }];
  });
}

/** Means of what was measured at each step, ascending. */
function stepMeans(
  measurements: readonly Measurement[],
): { asked: number; reflectance: number; count: number }[] {
  const byStep = Map.groupBy(measurements, ({ asked }) => asked);
  return [...byStep]
    .map(([asked, all]) => ({
      asked,
      reflectance: all.reduce((sum, one) => sum + one.reflectance, 0) / all.length,
      count: all.length,
    }))
    .sort((a, b) => a.asked - b.asked);
}

/** The nearest values that never fall: means of neighbours that do (pool adjacent violators). */
export function neverFalling(values: readonly number[], weights: readonly number[]): number[] {
  const pools: { mean: number; weight: number; count: number }[] = [];
  for (const [i, value] of values.entries()) {
    let pool = { mean: value, weight: weights[i]!, count: 1 };
    for (let before = pools.at(-1); before && before.mean > pool.mean; before = pools.at(-1)) {
      const weight = before.weight + pool.weight;
      const mean = (before.mean * before.weight + pool.mean * pool.weight) / weight;
      pool = { mean, weight, count: before.count + pool.count };
      pools.pop();
    }
    pools.push(pool);
  }
  return pools.flatMap(({ mean, count }) => Array.from({ length: count }, () => mean));
}

/** Each step but the ends half way to where its neighbours expect it: noise goes, straight lines stay. */
const smoothed = (asked: readonly number[], values: readonly number[]): number[] =>
  values.map((value, i) => {
    if (i === 0 || i === values.length - 1) return value;
    const [a, b, c] = [asked[i - 1]!, asked[i]!, asked[i + 1]!];
    const expected = values[i - 1]! + ((values[i + 1]! - values[i - 1]!) * (b - a)) / (c - a);
    return (value + expected) / 2;
  });

function wedgeOf(ink: Colorant, measurements: readonly Measurement[], scatter: number): Wedge {
  const means = stepMeans(measurements);
  const [paper, solid] = [means[0]!, means.at(-1)!];
  if (paper.asked !== 0 || solid.asked !== 1) refuse(`${ink} was not measured at both 0 and 100 %`);
  if (means.length < stepsMin)
    refuse(`${ink} was measured at ${means.length} steps, and ${stepsMin} are needed at least`);
  if (paper.reflectance - solid.reflectance < rangeMin)
    refuse(`solid ${ink} is hardly darker than paper: has the engine this ink, and is this the chart?`);
  const clipped = means.filter(({ reflectance }) => reflectance <= 0 || reflectance >= 1);
  if (clipped.length > 1) {
    const at = clipped.map(({ asked }) => `${asked * 100}`).join(", ");
    refuse(
      `${ink} is clipped at ${at} %: measure again, with less exposure or a scanner that corrects nothing`,
    );
  }
  const root = (reflectance: number): number => Math.max(0, reflectance) ** (1 / scatter);
  const [top, range] = [root(paper.reflectance), root(paper.reflectance) - root(solid.reflectance)];
  const asked = means.map((step) => step.asked);
  const covered = means.map(({ reflectance }) => (top - root(reflectance)) / range);
  const weights = means.map(({ count }) => count);
  const rising = neverFalling(covered, weights);
  const turn = Math.max(...covered.map((value, i) => Math.abs(value - rising[i]!)));
  if (turn > noiseMax) {
    const where = asked[covered.findIndex((value, i) => Math.abs(value - rising[i]!) === turn)]! * 100;
    refuse(
      `${ink} turns back near ${where} %, by more than noise: print the chart again, and read it the right way round`,
    );
  }
  const even = neverFalling(smoothed(asked, rising), weights);
  return asked.map((step, i) => ({ asked: step, measured: Math.min(1, Math.max(0, even[i]!)) }));
}

/**
 * The wedge of each ink that was measured: effective coverage after Murray and Davies, or after Yule and Nielsen with n =
 * `scatter`, between its own paper and solid, made to rise and smoothed. Throws `invalid-argument` with the ink and what is
 * wrong: too few steps, no ends, clipped, no range, or one that turns back.
 */
export function wedgesOf(measurements: readonly Measurement[], scatter = 1): Wedges {
  const byInk = Map.groupBy(measurements, ({ ink }) => ink);
  if (byInk.size === 0) refuse("nothing was measured");
  return Object.fromEntries([...byInk].map(([ink, own]) => [ink, wedgeOf(ink, own, scatter)]));
}

/** How far a wedge is from straight: the mean and the largest |measured − asked|. */
export function deviation(wedge: Wedge): { mean: number; max: number } {
  const errors = wedge.map(({ asked, measured }) => Math.abs(measured - asked));
  return { mean: errors.reduce((sum, error) => sum + error, 0) / errors.length, max: Math.max(...errors) };
}

/**
 * Calibration: a step wedge of each ink is printed and measured, and what the measurement says is undone, so that an ink
 * covers as much as it is asked for.
 */
import { PlatenError } from "@platen/proto";
import { z } from "zod";

const share = z.number().min(0).max(1);
const wedge = z
  .array(z.strictObject({ asked: share, measured: share }))
  .min(2)
  .refine((steps) => steps.every(({ asked }, i) => i === 0 || asked > steps[i - 1]!.asked), "asked must rise")
  .refine(
    (steps) => steps.every(({ measured }, i) => i === 0 || measured >= steps[i - 1]!.measured),
    "measured must not fall",
  )
  .refine((steps) => steps[0]!.asked === 0 && steps.at(-1)!.asked === 1, "must go from 0 to 1");

const calibrationSchema = z.strictObject({
  version: z.literal(1),
  /** Steps of each ink's wedge: coverage asked for, and the effective coverage that came of it, both 0 to 1. */
  wedges: z.strictObject({ cyan: wedge, magenta: wedge, yellow: wedge, black: wedge }).partial(),
});

export type Wedge = z.infer<typeof wedge>;
/** Coverage to lay for coverage wanted, both 0 to 1. */
export type Curve = (wanted: number) => number;

const same: Curve = (wanted) => wanted;

/**
 * The curve that undoes what a wedge measured: linear between its steps, with paper at 0 and the ink's own solid at 1. The
 * ends stay what they are: no ink is no ink, and all is all.
 */
export function linearisation(steps: Wedge): Curve {
  const [first, last] = [steps[0]!.measured, steps.at(-1)!.measured];
  if (last <= first) throw new PlatenError("configuration", "a calibration wedge gets no darker");
  return (wanted) => {
    if (wanted <= 0 || wanted >= 1) return Math.min(1, Math.max(0, wanted));
    const target = first + wanted * (last - first);
    const next = steps.findIndex(({ measured }) => measured > target);
    const high = steps[next < 0 ? steps.length - 1 : next]!;
    const low = steps[(next < 0 ? steps.length - 1 : next) - 1]!;
    const part = (target - low.measured) / (high.measured - low.measured || 1);
    return low.asked + part * (high.asked - low.asked);
  };
}

/** Curves of cyan, magenta, yellow, black from a calibration file (JSON). Throws `configuration`. */
export function parseCalibration(text: string): Curve[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new PlatenError("configuration", "the calibration file is not JSON", { cause });
  }
  const parsed = calibrationSchema.safeParse(json);
  if (!parsed.success) {
    const mistakes = parsed.error.issues.map(({ path, message }) => [...path, message].join(": "));
    throw new PlatenError("configuration", `the calibration file: ${mistakes.join("; ")}`);
  }
  const { cyan, magenta, yellow, black } = parsed.data.wedges;
  return [cyan, magenta, yellow, black].map((steps) => (steps ? linearisation(steps) : same));
}

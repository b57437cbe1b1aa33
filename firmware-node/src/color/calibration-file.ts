/** The calibration file: what step wedges measured, as JSON. */
import { PlatenError } from "@platen/proto";
import { z } from "zod";
import type { Wedges } from "./calibration.ts";

const share = z.number().min(0).max(1);
const wedge = z
  .array(z.strictObject({ asked: share, measured: share }))
  .min(2)
  .refine((steps) => steps.every(({ asked }, i) => i === 0 || asked > steps[i - 1]!.asked), "asked must rise")
  .refine(
    (steps) => steps.every(({ measured }, i) => i === 0 || measured >= steps[i - 1]!.measured),
    "measured must not fall",
  )
  .refine((steps) => steps.at(-1)!.measured > steps[0]!.measured, "gets no darker")
  .refine((steps) => steps[0]!.asked === 0 && steps.at(-1)!.asked === 1, "must go from 0 to 1");

const calibrationSchema = z.strictObject({
  version: z.literal(1),
  /** Steps of each ink's wedge: coverage asked for, and the effective coverage that came of it, both 0 to 1. */
  wedges: z.strictObject({ cyan: wedge, magenta: wedge, yellow: wedge, black: wedge }).partial(),
});

/** The wedges of a calibration file (JSON). Throws `configuration`. */
export function parseCalibration(text: string): Wedges {
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
  return parsed.data.wedges as Wedges;
}

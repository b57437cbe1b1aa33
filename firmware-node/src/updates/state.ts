/** What a board remembers of its updates, whatever happens: `state.json` of its folder. */
import { z } from "zod";
import { type Disk, readFileIfAny, replaceFile } from "./disk.ts";

const slotName = z.enum(["a", "b"]);
export type SlotName = z.infer<typeof slotName>;

const verdict = z.strictObject({
  version: z.string(),
  outcome: z.enum(["good", "failed", "interrupted"]),
  /** One sentence for people; empty when good. */
  reason: z.string(),
});
export type Verdict = z.infer<typeof verdict>;

/** Loose, so that a version that goes back keeps what a later one remembers. */
const stateSchema = z.looseObject({
  format: z.literal(1),
  /** Times that an app was started. */
  starts: z.number().int().nonnegative(),
  /** The trial that was begun and has no verdict yet. */
  trying: z
    .strictObject({ slot: slotName, version: z.string(), sha256: z.string(), attempt: z.number() })
    .optional(),
  /** Which attempt the trial asked for is. */
  asked: z.number().optional(),
  /** How the last trial ended. */
  last: verdict.optional(),
  /** The version whose trial ended well last, at which attempt, and the payload that it took the place of. */
  settled: z
    .strictObject({ sha256: z.string(), attempt: z.number(), before: z.string().optional() })
    .optional(),
  /** Versions that failed, by the SHA-256 of their payload: which attempt, and why. The latest ones. */
  failed: z.record(z.string(), z.strictObject({ attempt: z.number(), reason: z.string() })),
  /** How often trials of a payload were cut short without its doing. */
  interrupted: z.record(z.string(), z.number()),
});
export type State = Readonly<z.infer<typeof stateSchema>>;

/** How many failed versions are remembered. */
const failedMax = 20;
/** A version whose trials were cut short so often without a verdict counts as failed. */
const interruptedMax = 3;

export const initialState: State = { format: 1, starts: 0, failed: {}, interrupted: {} };

/** The state in a file; one that is missing or of no use is as new: it only remembers, and decides nothing about what runs. */
export async function readState(path: string): Promise<State> {
  const text = await readFileIfAny(path);
  try {
    return stateSchema.parse(JSON.parse(text?.toString("utf8") ?? ""));
  } catch {
    return initialState;
  }
}

export const writeState = (disk: Disk, path: string, state: State): Promise<void> =>
  replaceFile(disk, path, Buffer.from(`${JSON.stringify(state)}\n`));

const latest = <T>(entries: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(entries).slice(-failedMax));

/** The state after the trial under way got its verdict. `before` is the payload that a good version takes the place of. */
export function judged(
  state: State,
  outcome: Verdict["outcome"],
  reason: string,
  before: string | undefined,
): State {
  const { trying, ...rest } = state;
  if (!trying) return state;
  const { sha256, version, attempt } = trying;
  const { [sha256]: cut = 0, ...others } = state.interrupted;
  const { [sha256]: _, ...otherFailures } = state.failed;
  const count = cut + (outcome === "interrupted" ? 1 : 0);
  const isFailed = outcome === "failed" || count >= interruptedMax;
  return {
    ...rest,
    ...(outcome === "good" && { settled: { sha256, attempt, ...(before && { before }) } }),
    last: { version, outcome, reason },
    failed: latest(isFailed ? { ...otherFailures, [sha256]: { attempt, reason } } : otherFailures),
    interrupted: latest(outcome === "interrupted" && !isFailed ? { ...others, [sha256]: count } : others),
  };
}

/** The state after a version that had been kept was given up. Nothing is settled then: nobody goes back twice. */
export function givenUp(state: State, version: string, reason: string): State {
  const { settled, ...rest } = state;
  if (!settled) return state;
  const { sha256, attempt } = settled;
  const { [sha256]: _, ...otherFailures } = state.failed;
  return {
    ...rest,
    last: { version, outcome: "failed", reason },
    failed: latest({ ...otherFailures, [sha256]: { attempt, reason } }),
  };
}

/** What a board remembers of its updates, whatever happens: `state.json` of its folder. */
import { z } from "zod";
import { type Disk, readFileIfAny, replaceFile } from "./disk.ts";
import type { Moment } from "./moment.ts";

const slotName = z.enum(["a", "b"]);
export type SlotName = z.infer<typeof slotName>;

const verdict = z.strictObject({
  version: z.string(),
  outcome: z.enum(["good", "failed", "interrupted"]),
  /** One sentence for people; empty when good. */
  reason: z.string(),
});
export type Verdict = z.infer<typeof verdict>;

/** A version, by the SHA-256 of its payload, and which attempt its trial is. */
const attempted = { version: z.string(), sha256: z.string(), attempt: z.number() };

/** Loose, so that a version that goes back keeps what a later one remembers. */
const stateSchema = z.looseObject({
  format: z.literal(1),
  /** Times that an app was started. */
  starts: z.number().int().nonnegative(),
  /** The trial that was begun and has no verdict yet. */
  trying: z.strictObject({ slot: slotName, ...attempted }).optional(),
  /** The trial that is asked for, and has not begun. */
  asked: z.strictObject(attempted).optional(),
  /** What was started last and has not ended in order: when, and how often in a row it had ended badly before, each time soon. */
  running: z
    .strictObject({ sha256: z.string(), boot: z.string(), atS: z.number(), badEnds: z.number() })
    .optional(),
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
const interruptedDefaultMax = 3;

export const initialState: State = { format: 1, starts: 0, failed: {}, interrupted: {} };

/** The state in a file; one that is missing or of no use is as new: it only remembers, and decides nothing about what runs. */
export async function readState(path: string): Promise<State> {
  try {
    const text = await readFileIfAny(path);
    return stateSchema.parse(JSON.parse(text?.toString("utf8") ?? ""));
  } catch {
    return initialState;
  }
}

export const writeState = (disk: Disk, path: string, state: State): Promise<void> =>
  replaceFile(disk, path, Buffer.from(`${JSON.stringify(state)}\n`));

const latest = <T>(entries: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(entries).slice(-failedMax));

/** The state with one more version that failed. */
export function withFailure(
  state: State,
  { sha256, version, attempt }: NonNullable<State["asked"]>,
  reason: string,
): State {
  const { [sha256]: _, ...others } = state.failed;
  const failed = latest({ ...others, [sha256]: { attempt, reason } });
  return { ...state, last: { version, outcome: "failed", reason }, failed };
}

/** A bad end sooner after the start than this counts, seconds. */
const soonS = 600;

/**
 * How often in a row the version has ended badly, up to now: soon after its start, while the board stayed on. That it went off
 * is no version's fault.
 */
export function badEndsOf({ running }: State, sha256: string, now: Moment): number {
  if (running?.sha256 !== sha256 || running.boot !== now.boot) return 0;
  return now.atS - running.atS < soonS ? running.badEnds + 1 : 0;
}

/** The state after the trial under way got its verdict. `before` is the payload that a good version takes the place of. */
export function judged(
  state: State,
  outcome: Verdict["outcome"],
  reason: string,
  before: string | undefined,
  interruptedMax = interruptedDefaultMax,
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
  return settled ? withFailure(rest, { ...settled, version }, reason) : state;
}

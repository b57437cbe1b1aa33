/** What somebody at the stand can do, as JSON that may say anything. */
import type { Ink, Trouble } from "../engine-model.ts";
import type { LineFaults } from "../link/faulty-line.ts";
import type { EngineStand } from "./stand.ts";

export class BadAction extends Error {
  override readonly name = "BadAction";
}

const troubles: readonly Trouble[] = [
  "media-empty",
  "media-jam",
  "marker-supply-empty",
  "cover-open",
  "output-area-full",
  "engine-fault",
];

/** The largest value of each fault that makes sense. */
const faultLimits: Readonly<Record<keyof LineFaults, number>> = {
  bitErrorRate: 0.01,
  burstRate: 1,
  dropRate: 1,
  duplicateRate: 1,
  reorderRate: 1,
  reorderMs: 10_000,
  delayMs: 10_000,
  jitterMs: 10_000,
};

function numberIn(value: unknown, most: number, name: string): number {
  if (typeof value === "number" && value >= 0 && value <= most) return value;
  throw new BadAction(`${name} is a number from 0 to ${most}`);
}

function oneOf<T extends string>(value: unknown, known: readonly T[], name: string): T {
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  throw new BadAction(`${name} is one of ${known.join(", ")}`);
}

type Arguments = Readonly<Record<string, unknown>>;

const actions: Readonly<Record<string, (stand: EngineStand, given: Arguments) => void>> = {
  fail: (stand, { trouble }) => stand.model.fail(oneOf(trouble, troubles, "trouble")),
  remedy: (stand, { trouble }) => stand.model.remedy(oneOf(trouble, troubles, "trouble")),
  cancel: (stand) => stand.model.pressCancel(),
  "power-off": (stand) => stand.powerOff(),
  "power-on": (stand) => stand.powerOn(),
  ink: ({ model }, { ink, percent }) =>
    model.setInkPercent(oneOf<Ink>(ink, model.inks, "ink"), numberIn(percent, 100, "percent")),
  line({ forth, back }, given) {
    const known = Object.entries(faultLimits).filter(([name]) => given[name] !== undefined);
    const faults = Object.fromEntries(known.map(([name, most]) => [name, numberIn(given[name], most, name)]));
    for (const line of [forth, back]) line.faults = { ...line.faults, ...faults };
  },
  cut({ forth, back }, { ms }) {
    for (const line of [forth, back]) line.cut(numberIn(ms, 600_000, "ms"));
  },
  stall({ forth, back }, { ms }) {
    for (const line of [forth, back]) line.stall(numberIn(ms, 600_000, "ms"));
  },
};

/** Does `{"action": NAME, …}`. Throws BadAction with a sentence. */
export function act(stand: EngineStand, request: unknown): void {
  if (typeof request !== "object" || request === null) throw new BadAction("an action is an object");
  const { action, ...given } = request as Arguments;
  const name = oneOf(action, Object.keys(actions), "action");
  actions[name]!(stand, given);
}

/** Who brings trouble about at an engine under test, and sees to it: a person, a bench panel, or a test. */
import { createInterface } from "node:readline/promises";
import type { Reason } from "../protocol/index.ts";

/** Causes of a stop that the suite tries, where the engine has them. */
export const stops = [
  "media-empty",
  "media-jam",
  "marker-supply-empty",
  "cover-open",
  "output-area-full",
  "fuser-over-temp",
  "engine-fault",
] as const satisfies readonly Reason[];
export type Stop = (typeof stops)[number];

export interface Operator {
  /** Resolves when it is so; to false when this engine has no such thing. */
  bringAbout(stop: Stop): Promise<boolean>;
  /** Resolves when it is seen to. */
  seeTo(stop: Stop): Promise<void>;
  /** Presses cancel; false when the engine has no button. */
  pressCancel(): Promise<boolean>;
}

/** Keys of the bench panel, hw/engine-fw/boards/bench.h. */
const keyOf: Readonly<Record<Stop, string>> = {
  "media-empty": "p",
  "media-jam": "j",
  "marker-supply-empty": "i",
  "cover-open": "c",
  "output-area-full": "t",
  "fuser-over-temp": "f",
  "engine-fault": "h",
};

/** An engine with the bench panel that `press` writes to. */
export const panelOperator = (press: (keys: string) => void): Operator => ({
  bringAbout(stop) {
    press(keyOf[stop]);
    return Promise.resolve(true);
  },
  seeTo(stop) {
    press(keyOf[stop].toUpperCase());
    return Promise.resolve();
  },
  pressCancel() {
    press("x");
    return Promise.resolve(true);
  },
});

const requests: Readonly<Record<Stop, readonly [bringAbout: string, seeTo: string]>> = {
  "media-empty": ["Take all paper out of the tray", "Put the paper back"],
  "media-jam": ["Make the paper jam, or trip its sensor", "Clear the jam"],
  "marker-supply-empty": ["Take an ink out, or put in an empty one", "Put the ink back"],
  "cover-open": ["Open the cover", "Close the cover"],
  "output-area-full": ["Trip the sensor of the output tray", "Free the sensor of the output tray"],
  "fuser-over-temp": ["Make the fuser's sensor report too much heat", "Let it report what is right"],
  "engine-fault": ["Unplug the head, or bring about another fault of the engine", "Undo it"],
};

/** Somebody at the terminal who is asked to do things, and answers by Enter, or `s` for what cannot be done. */
export function askedOperator(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  signal: AbortSignal,
): Operator {
  const ask = async (request: string): Promise<boolean> => {
    const terminal = createInterface({ input, output });
    try {
      const answer = await terminal.question(`>>>> ${request}, then press Enter (s: skip) `, { signal });
      return answer.trim().toLowerCase() !== "s";
    } finally {
      terminal.close();
    }
  };
  return {
    bringAbout: (stop) => ask(requests[stop][0]),
    seeTo: async (stop) => void (await ask(requests[stop][1])),
    pressCancel: () => ask("Press the cancel button"),
  };
}

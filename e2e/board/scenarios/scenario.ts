/** Something that must be seen to work on the emulated board. */
import type { Stand } from "../stand.ts";

export interface Notes {
  /** Something that had to hold did. */
  saw(sentence: string): void;
  /** A measurement; its name ends in its unit. */
  figure(name: string, value: number | string): void;
}

export interface Scenario {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  /** Throws when something is not as it must be. The board may be off, or on and ready. */
  run(stand: Stand, notes: Notes): Promise<void>;
}

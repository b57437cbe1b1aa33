/** What an app and the launcher that started it say to each other, over the channel that Node makes between them. */
import { z } from "zod";

/** What must be seen before a version on trial is taken for good. */
export const checks = ["engine", "backend", "pattern"] as const;
export type Check = (typeof checks)[number];

export const messageSchema = z.discriminatedUnion("platen", [
  /** Said every `aliveIntervalMs`: the event loop turns. */
  z.object({ platen: z.literal("alive") }),
  /** Why the app is about to end by itself. */
  z.object({ platen: z.literal("failing"), reason: z.string().max(1000) }),
  /** Which checks have not been passed yet; none: healthy. */
  z.object({ platen: z.literal("health"), missing: z.array(z.enum(checks)) }),
]);
export type Message = z.infer<typeof messageSchema>;

export const aliveIntervalMs = 5000;
/** An app that ends with this wants to be started again: another version waits. */
export const restartCode = 75;
/** An app that ends with this was refused: by its settings or its backend, which another version would not change. */
export const refusedCode = 2;

export interface Supervision {
  /** The board's folder. */
  readonly root: string;
  /** Whether this start is a trial. */
  readonly trial: boolean;
}

/** How the launcher started this process; undefined when another did. */
export function supervision(env: NodeJS.ProcessEnv): Supervision | undefined {
  const root = env["PLATEN_BOARD"];
  return root ? { root, trial: env["PLATEN_TRIAL"] === "1" } : undefined;
}

const say = (message: Message): void => {
  // The launcher may be gone; then nobody needs to hear.
  if (process.connected) process.send?.(message, () => {});
};

/** Says that the app lives, until disposed. When the launcher has gone the app is told to end: the next one starts its own. */
export function keepSayingAlive(): Disposable {
  const orphaned = () => process.kill(process.pid, "SIGTERM");
  process.once("disconnect", orphaned);
  say({ platen: "alive" });
  const timer = setInterval(() => say({ platen: "alive" }), aliveIntervalMs).unref();
  // Nothing is ever read from it: it shall not keep the process.
  process.channel?.unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      process.off("disconnect", orphaned);
    },
  };
}

/** Says why the app ends; nobody hears where no launcher started it. */
export const sayFailing = (reason: string): void => say({ platen: "failing", reason: reason.slice(0, 1000) });

/** Gathers what has been seen of the app's health, and says it at every change. */
export class Health {
  readonly #missing = new Set<Check>(checks);
  readonly #onChange: (missing: readonly Check[]) => void;
  constructor(onChange: (missing: readonly Check[]) => void = () => {}) {
    this.#onChange = onChange;
    this.#tell();
  }

  #tell(): void {
    say({ platen: "health", missing: [...this.#missing] });
    this.#onChange(this.missing);
  }

  get missing(): readonly Check[] {
    return [...this.#missing];
  }

  passed(check: Check): void {
    if (this.#missing.delete(check)) this.#tell();
  }
}

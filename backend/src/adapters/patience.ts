/** Time limits of something that is waited for: one for the whole, and one for each step. */
import { PlatenError } from "@platen/proto";

export class Patience implements Disposable {
  readonly #end = new AbortController();
  readonly #caller: AbortSignal;
  readonly #total: NodeJS.Timeout;
  #step: NodeJS.Timeout | undefined;

  /** `what` is waited for until `caller` aborts, and at most `totalMs` milliseconds in all. */
  constructor(caller: AbortSignal, what: string, totalMs: number) {
    this.#caller = caller;
    this.#total = this.#after(totalMs, `${what} takes longer than ${totalMs / 1000} s`);
    if (caller.aborted) this.#cancel();
    else caller.addEventListener("abort", this.#cancel);
  }

  /** Aborts when patience ends; its reason is a PlatenError: `canceled` or `download-timeout`. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** The step that begins now may take so many milliseconds. */
  begin(stepMs: number, timeout: string): void {
    this.rest();
    this.#step = this.#after(stepMs, `${timeout} for ${stepMs / 1000} s`);
  }

  /** Nobody is waited for, until the next step begins. */
  rest(): void {
    clearTimeout(this.#step);
  }

  [Symbol.dispose](): void {
    this.rest();
    clearTimeout(this.#total);
    this.#caller.removeEventListener("abort", this.#cancel);
  }

  readonly #cancel = (): void =>
    this.#end.abort(new PlatenError("canceled", "the download was canceled", { cause: this.#caller.reason }));

  #after(ms: number, message: string): NodeJS.Timeout {
    return setTimeout(() => this.#end.abort(new PlatenError("download-timeout", message)), ms);
  }
}

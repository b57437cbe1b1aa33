/** The calls under way of one server, so that it can wait for their end, or bring it about. */
import { PlatenError } from "./error.ts";

export class Calls {
  readonly #underWay = new Set<(reason: PlatenError) => void>();
  #draining = false;
  #none = Promise.withResolvers<void>();

  /**
   * Notes a call; `end` ends it early, with an error for its caller. Returns what notes its end.
   * Throws `unavailable` while draining.
   */
  begin(end: (reason: PlatenError) => void): () => void {
    if (this.#draining) throw new PlatenError("unavailable", "the server is about to stop");
    this.#underWay.add(end);
    return () => {
      this.#underWay.delete(end);
      if (this.#draining && this.#underWay.size === 0) this.#none.resolve();
    };
  }

  /** Takes no more calls, and resolves when there are none. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#underWay.size > 0) await this.#none.promise;
  }

  /** Ends all calls. */
  end(reason: PlatenError): void {
    this.#draining = true;
    for (const end of this.#underWay) end(reason);
    this.#underWay.clear();
    this.#none.resolve();
  }
}

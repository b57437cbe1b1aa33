/** Time, real or virtual: with a virtual clock a stall of 30 s takes no time, and a run is the same each time. */

export interface Clock {
  nowMs(): number;
  /** Calls `work` once after so long. Call the result to prevent it. */
  after(delayMs: number, work: () => void): () => void;
}

export const realClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, work) {
    const timer = setTimeout(work, Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
};

interface Appointment {
  readonly atMs: number;
  readonly order: number;
  /** Undefined once prevented. */
  work: (() => void) | undefined;
}

/** Time that passes only when told to. What is due at the same time happens in the order in which it was asked for. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  /** A binary heap, soonest first. */
  readonly #heap: Appointment[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, work: () => void): () => void {
    const one: Appointment = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, work };
    this.#heap.push(one);
    this.#rise(this.#heap.length - 1);
    return () => {
      one.work = undefined;
    };
  }

  /** Goes on to the next thing due and does it; false when nothing is. */
  step(): boolean {
    for (let next = this.#pop(); next; next = this.#pop()) {
      if (!next.work) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.work();
      return true;
    }
    return false;
  }

  /** Steps until `done`, or until there is nothing to do or `limitMs` of virtual time has passed: false. */
  runUntil(done: () => boolean, limitMs: number): boolean {
    const endMs = this.#nowMs + limitMs;
    while (!done()) if (this.#nowMs > endMs || !this.step()) return false;
    return true;
  }

  #isBefore(a: number, b: number): boolean {
    const one = this.#heap[a]!;
    const other = this.#heap[b]!;
    return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
  }

  #swap(a: number, b: number): void {
    const one = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = one;
  }

  #rise(from: number): void {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #pop(): Appointment | undefined {
    if (this.#heap.length === 0) return undefined;
    this.#swap(0, this.#heap.length - 1);
    const first = this.#heap.pop();
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#isBefore(child, least)) least = child;
      }
      if (least === at) return first;
      this.#swap(at, least);
      at = least;
    }
  }
}

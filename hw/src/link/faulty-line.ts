/**
 * One direction of a bad serial line: it has a speed, and it flips, drops, repeats, reorders, delays, stalls and cuts. All by
 * a seed and a clock, so that with a virtual clock the same bytes at the same times meet the same faults.
 */
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

export interface LineFaults {
  /** Share of the bits that are flipped. */
  readonly bitErrorRate?: number;
  /** Share of the pieces in which a burst flips half of the bits of a few bytes. */
  readonly burstRate?: number;
  /** Shares of the pieces that are lost, come twice, or come late by `reorderMs` so that others pass them. */
  readonly dropRate?: number;
  readonly duplicateRate?: number;
  readonly reorderRate?: number;
  readonly reorderMs?: number;
  /** Every piece takes so long, and up to `jitterMs` more, without being passed. */
  readonly delayMs?: number;
  readonly jitterMs?: number;
}

export interface LineOptions {
  /** 8N1: ten bits a byte. Default: no limit. */
  readonly baudRateBps?: number;
  readonly faults?: LineFaults;
}

/** A piece is what a USB bridge sends at once. */
const pieceBytes = 64;
const burstBytes = 8;

/** What became of the pieces, for reports. */
export interface LineCounts {
  bytes: number;
  flippedBits: number;
  dropped: number;
  duplicated: number;
  reordered: number;
  cut: number;
}

export class FaultyLine {
  readonly counts: LineCounts = { bytes: 0, flippedBits: 0, dropped: 0, duplicated: 0, reordered: 0, cut: 0 };
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #deliver: (bytes: Uint8Array) => void;
  readonly #msPerByte: number;
  #faults: LineFaults;
  /** When the line has sent what it was given so far, and when the latest piece in order arrives. */
  #freeAtMs = 0;
  #arrivedAtMs = 0;
  #stalledUntilMs = 0;
  #cutUntilMs = 0;
  #bitsToFlip: number;
  /** Pieces on their way that nothing passes, in order. */
  readonly #inOrder: { readonly piece: Uint8Array; readonly atMs: number }[] = [];

  constructor(clock: Clock, random: Random, options: LineOptions, deliver: (bytes: Uint8Array) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#deliver = deliver;
    this.#faults = options.faults ?? {};
    this.#msPerByte = options.baudRateBps ? 10_000 / options.baudRateBps : 0;
    this.#bitsToFlip = this.#nextFlip();
  }

  get faults(): LineFaults {
    return this.#faults;
  }

  /** From now on the line is as bad as this. */
  set faults(faults: LineFaults) {
    this.#faults = faults;
    this.#bitsToFlip = this.#nextFlip();
  }

  /** Milliseconds of bytes that wait for the line: a writer that minds should write no more while it is large. */
  get backlogMs(): number {
    return Math.max(0, this.#freeAtMs - this.#clock.nowMs());
  }

  /** Nothing arrives for so long; then everything does. */
  stall(forMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, this.#clock.nowMs() + forMs);
  }

  /** What is sent for so long never arrives. */
  cut(forMs: number): void {
    this.#cutUntilMs = Math.max(this.#cutUntilMs, this.#clock.nowMs() + forMs);
  }

  /** Takes bytes to send; they are copied. */
  send(bytes: Uint8Array): void {
    this.counts.bytes += bytes.length;
    for (let at = 0; at < bytes.length; at += pieceBytes) this.#sendPiece(bytes.slice(at, at + pieceBytes));
  }

  #sendPiece(piece: Uint8Array): void {
    const nowMs = this.#clock.nowMs();
    const { dropRate = 0, duplicateRate = 0, reorderRate = 0, reorderMs = 5 } = this.#faults;
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + piece.length * this.#msPerByte;
    if (this.#freeAtMs < this.#cutUntilMs) {
      this.counts.cut++;
      return;
    }
    if (this.#random() < dropRate) {
      this.counts.dropped++;
      return;
    }
    this.#flip(piece);
    const { delayMs = 0, jitterMs = 0 } = this.#faults;
    const arriveAtMs = Math.max(this.#freeAtMs + delayMs + jitterMs * this.#random(), this.#stalledUntilMs);
    if (this.#random() < reorderRate) {
      this.counts.reordered++;
      this.#clock.after(arriveAtMs + reorderMs - nowMs, () => this.#arriveLate(piece));
      return;
    }
    this.#arrivedAtMs = Math.max(this.#arrivedAtMs, arriveAtMs);
    this.#queue(piece);
    if (this.#random() < duplicateRate) {
      this.counts.duplicated++;
      this.#queue(piece.slice());
    }
  }

  #queue(piece: Uint8Array): void {
    const waiting = this.#inOrder.push({ piece, atMs: this.#arrivedAtMs });
    // One timer for all: timers of a real clock, which counts whole milliseconds, overtake each other.
    if (waiting === 1) this.#arrive();
  }

  /** Delivers what has arrived, and comes back when more has. */
  #arrive(): void {
    for (let next = this.#inOrder[0]; next; next = this.#inOrder[0]) {
      const nowMs = this.#clock.nowMs();
      // A stall that begins while the piece is on its way holds it up too.
      const atMs = Math.max(next.atMs, this.#stalledUntilMs);
      if (atMs > nowMs) {
        this.#clock.after(atMs - nowMs, () => this.#arrive());
        return;
      }
      this.#deliver(next.piece);
      // Not before: what is sent by whoever it was delivered to waits its turn.
      this.#inOrder.shift();
    }
  }

  /** Delivers a piece that others have passed. */
  #arriveLate(piece: Uint8Array): void {
    const stalledMs = this.#stalledUntilMs - this.#clock.nowMs();
    if (stalledMs > 0) this.#clock.after(stalledMs, () => this.#arriveLate(piece));
    else this.#deliver(piece);
  }

  /** How many bits until the next that is flipped: geometrically distributed. */
  #nextFlip(): number {
    const rate = this.#faults.bitErrorRate ?? 0;
    return rate > 0 ? Math.floor(Math.log(1 - this.#random()) / Math.log(1 - rate)) : Infinity;
  }

  #flip(piece: Uint8Array): void {
    const bits = piece.length * 8;
    while (this.#bitsToFlip < bits) {
      piece[this.#bitsToFlip >> 3]! ^= 1 << (this.#bitsToFlip & 7);
      this.counts.flippedBits++;
      this.#bitsToFlip += 1 + this.#nextFlip();
    }
    this.#bitsToFlip -= bits;
    if (this.#random() >= (this.#faults.burstRate ?? 0)) return;
    const from = Math.floor(this.#random() * piece.length);
    for (let at = from; at < Math.min(piece.length, from + burstBytes); at++) {
      piece[at]! ^= Math.floor(this.#random() * 256);
    }
  }
}

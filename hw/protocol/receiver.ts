/** The engine's half of the sequence: frames come in any order, and leave it in sequence, each once. Pure. */
import type { Ack } from "./control.ts";
import type { Sequenced } from "./sender.ts";
import { add32, ahead16, difference32, frameCost, next16 } from "./serial.ts";

export interface Receiver {
  readonly windowFrames: number;
  /** The next number in sequence. */
  readonly expected: number;
  /** Frames that came before their turn, by number. */
  readonly early: ReadonlyMap<number, Sequenced>;
  /** Cost of all frames accepted, and the credit granted, since the session began, modulo 2³². */
  readonly taken: number;
  readonly credit: number;
}

/** `capacityBytes`: what the engine can keep, in credit (`frameCost`). */
export const startReceiver = (windowFrames: number, capacityBytes: number): Receiver => ({
  windowFrames,
  expected: 0,
  early: new Map(),
  taken: 0,
  credit: capacityBytes,
});

export interface Taken {
  readonly receiver: Receiver;
  /** In sequence, now due to be worked on. */
  readonly delivered: readonly Sequenced[];
  /** It was a repeat, came early, or found no room: the host should hear at once what came. */
  readonly outOfOrder: boolean;
}

/** A frame came. One outside the window or beyond the credit is dropped, as if the line had lost it. */
export function receive(receiver: Receiver, frame: Sequenced): Taken {
  const place = ahead16(frame.number, receiver.expected);
  const taken = add32(receiver.taken, frameCost(frame.payload.length));
  const refused =
    place < 0 ||
    place >= receiver.windowFrames ||
    receiver.early.has(frame.number) ||
    difference32(receiver.credit, taken) < 0;
  if (refused) return { receiver, delivered: [], outOfOrder: true };
  const early = new Map(receiver.early).set(frame.number, frame);
  const delivered: Sequenced[] = [];
  let { expected } = receiver;
  for (let next = early.get(expected); next; next = early.get(expected)) {
    delivered.push(next);
    early.delete(expected);
    expected = next16(expected);
  }
  return {
    receiver: { ...receiver, early, expected, taken },
    delivered,
    outOfOrder: place > 0 || early.size > 0,
  };
}

/** The engine is done with frames that cost so much: the host may send as much more. */
export const grant = (receiver: Receiver, cost: number): Receiver => ({
  ...receiver,
  credit: add32(receiver.credit, cost),
});

export function ackOf(receiver: Receiver): Ack {
  let received = 0n;
  for (const number of receiver.early.keys()) {
    received |= 1n << BigInt(ahead16(number, receiver.expected) - 1);
  }
  return { expected: receiver.expected, received, credit: receiver.credit };
}

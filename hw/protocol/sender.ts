/**
 * The host's half of the sequence: which frames go out, and again. Pure.
 *
 * A frame may go when the window, the credit and the bytes allowed under way have room for it. It is taken for lost, and goes
 * again, when three frames sent after it came and it did not (as in RFC 9002 section 6.1: by order of sending, so that a
 * repeated frame that is lost again is noticed too), or when nothing came for the retransmission time-out (RFC 6298).
 */
import type { Ack } from "./control.ts";
import { add32, ahead16, difference32, frameCost, next16 } from "./serial.ts";

/** A sequenced frame without its session. */
export interface Sequenced {
  readonly type: number;
  readonly number: number;
  readonly payload: Uint8Array;
}

interface Outstanding extends Sequenced {
  readonly acknowledged: boolean;
  readonly lost: boolean;
  /** Place of its latest sending among all sendings. */
  readonly order: number;
  readonly sentAtMs: number;
  readonly sendings: number;
}

export interface SenderLimits {
  readonly windowFrames: number;
  /** Payload bytes under way at most, so that an ABORT or a PING does not wait long behind them in some buffer. */
  readonly bytesUnderWay: number;
}

export interface Sender {
  readonly limits: SenderLimits;
  /** Not sent yet. */
  readonly waiting: readonly { readonly type: number; readonly payload: Uint8Array }[];
  /** Sent, by number, from the oldest that is not acknowledged. */
  readonly outstanding: readonly Outstanding[];
  readonly nextNumber: number;
  /** Credit spent and granted since the session began, modulo 2³². */
  readonly spent: number;
  readonly credit: number;
  readonly sendings: number;
  /** The latest sending known to have come. */
  readonly orderSeen: number;
  readonly smoothedMs: number | undefined;
  readonly variationMs: number;
  readonly timeoutMs: number;
  /** When the time-out runs out; undefined while nothing is outstanding. */
  readonly timeoutAtMs: number | undefined;
}

const reorderFrames = 3;
const minTimeoutMs = 50;
const firstTimeoutMs = 500;
const maxTimeoutMs = 1000;

export const startSender = (limits: SenderLimits): Sender => ({
  limits,
  waiting: [],
  outstanding: [],
  nextNumber: 0,
  spent: 0,
  credit: 0,
  sendings: 0,
  orderSeen: 0,
  smoothedMs: undefined,
  variationMs: 0,
  timeoutMs: firstTimeoutMs,
  timeoutAtMs: undefined,
});

export const offer = (sender: Sender, type: number, payload: Uint8Array): Sender => ({
  ...sender,
  waiting: [...sender.waiting, { type, payload }],
});

/** Everything offered has come. */
export const isDrained = (sender: Sender): boolean =>
  sender.waiting.length === 0 && sender.outstanding.length === 0;

function withRoundTrip(sender: Sender, tookMs: number): Sender {
  const { smoothedMs, variationMs } = sender;
  const variation =
    smoothedMs === undefined ? tookMs / 2 : 0.75 * variationMs + 0.25 * Math.abs(smoothedMs - tookMs);
  const smoothed = smoothedMs === undefined ? tookMs : 0.875 * smoothedMs + 0.125 * tookMs;
  const timeoutMs = Math.min(maxTimeoutMs, Math.max(minTimeoutMs, smoothed + 4 * variation));
  return { ...sender, smoothedMs: smoothed, variationMs: variation, timeoutMs };
}

/** What an acknowledgement says. One that lies outside what was sent is ignored: it cannot be of this session. */
export function acknowledge(sender: Sender, ack: Ack, nowMs: number): Sender {
  const base = sender.outstanding[0]?.number ?? sender.nextNumber;
  const done = ahead16(ack.expected, base);
  if (ahead16(ack.expected, sender.nextNumber) > 0) return sender;
  let { orderSeen } = sender;
  let took: number | undefined;
  const came = (frame: Outstanding): boolean => {
    const place = ahead16(frame.number, ack.expected);
    return place < 0 || (place > 0 && place <= 64 && ((ack.received >> BigInt(place - 1)) & 1n) === 1n);
  };
  let progress = done > 0;
  const marked = sender.outstanding.map((frame) => {
    if (frame.acknowledged || !came(frame)) return frame;
    progress = true;
    orderSeen = Math.max(orderSeen, frame.order);
    // Karn: of a frame sent twice it cannot be told which came.
    if (frame.sendings === 1) took = nowMs - frame.sentAtMs;
    return { ...frame, acknowledged: true, lost: false };
  });
  const outstanding = marked
    .slice(Math.max(0, done))
    .map((frame) =>
      !frame.acknowledged && !frame.lost && frame.order + reorderFrames <= orderSeen
        ? { ...frame, lost: true }
        : frame,
    );
  const credit = difference32(ack.credit, sender.credit) > 0 ? ack.credit : sender.credit;
  const timed = took === undefined ? sender : withRoundTrip(sender, took);
  const timeoutAtMs =
    outstanding.length === 0 ? undefined : progress ? nowMs + timed.timeoutMs : sender.timeoutAtMs;
  return { ...timed, outstanding, credit, orderSeen, timeoutAtMs };
}

const bytesUnderWay = (outstanding: readonly Outstanding[]): number =>
  outstanding.reduce((sum, it) => (it.acknowledged || it.lost ? sum : sum + it.payload.length), 0);

/** After a time-out the oldest frame goes again, alone: its acknowledgement tells what became of the others. */
function expire(sender: Sender, nowMs: number): Sender {
  if (sender.timeoutAtMs === undefined || nowMs < sender.timeoutAtMs) return sender;
  const oldest = sender.outstanding.findIndex((frame) => !frame.acknowledged);
  const outstanding = sender.outstanding.map((frame, i) => (i === oldest ? { ...frame, lost: true } : frame));
  const timeoutMs = Math.min(maxTimeoutMs, 2 * sender.timeoutMs);
  return { ...sender, outstanding, timeoutMs, timeoutAtMs: nowMs + timeoutMs };
}

/** What goes out now: lost frames first, then waiting ones as far as there is room. */
export function takeDue(before: Sender, nowMs: number): { sender: Sender; frames: Sequenced[] } {
  let sender = expire(before, nowMs);
  const frames: Sequenced[] = [];
  const outstanding = [...sender.outstanding];
  const waiting = [...sender.waiting];
  let { nextNumber, spent, sendings } = sender;
  let underWay = bytesUnderWay(outstanding);
  const hasRoom = (payload: Uint8Array): boolean =>
    underWay === 0 || underWay + payload.length <= sender.limits.bytesUnderWay;
  outstanding.forEach((frame, i) => {
    if (!frame.lost || !hasRoom(frame.payload)) return;
    frames.push(frame);
    underWay += frame.payload.length;
    sendings++;
    outstanding[i] = {
      ...frame,
      lost: false,
      order: sendings,
      sentAtMs: nowMs,
      sendings: frame.sendings + 1,
    };
  });
  for (let next = waiting[0]; next; next = waiting[0]) {
    const after = add32(spent, frameCost(next.payload.length));
    if (outstanding.length >= sender.limits.windowFrames) break;
    if (difference32(sender.credit, after) < 0 || !hasRoom(next.payload)) break;
    waiting.shift();
    sendings++;
    const frame = {
      ...next,
      number: nextNumber,
      acknowledged: false,
      lost: false,
      order: sendings,
      sentAtMs: nowMs,
    };
    outstanding.push({ ...frame, sendings: 1 });
    frames.push(frame);
    underWay += next.payload.length;
    nextNumber = next16(nextNumber);
    spent = after;
  }
  if (frames.length === 0) return { sender, frames };
  const timeoutAtMs = sender.timeoutAtMs ?? nowMs + sender.timeoutMs;
  sender = { ...sender, outstanding, waiting, nextNumber, spent, sendings, timeoutAtMs };
  return { sender, frames };
}

/**
 * The host's half of the sequence: which frames go out, and again. Pure.
 *
 * A frame may go when the window, the credit and the bytes allowed under way have room for it. It is taken for lost, and goes
 * again, when three frames sent after it came and it did not (as in RFC 9002 section 6.1: by order of sending, so that a
 * repeated frame that is lost again is noticed too), or when nothing came for the retransmission time-out (RFC 6298). How
 * large frames should be follows from how many are lost.
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
  /** Time-outs since anything new was acknowledged. */
  readonly timeouts: number;
  /** Bits sent and frames lost, of late: both fade. */
  readonly recentBits: number;
  readonly recentLosses: number;
}

const reorderFrames = 3;
const minTimeoutMs = 50;
const firstTimeoutMs = 500;
const maxTimeoutMs = 1000;
/** Of `recentBits` and `recentLosses`, what is left after a frame is sent. */
const fading = 1 - 1 / 256;
/** So many bits without a loss are taken for granted at first, so that one early loss does not count for much. */
const trustedBits = 1e6;
/** What a frame costs beside its payload: header, CRC, stuffing, delimiters. */
const frameOverheadBytes = 14;
const minPayloadBytes = 64;
/** Frames are small until so many bits were sent: on a line that destroys most large ones, the first would block the window. */
const untriedBits = 1e5;
const untriedPayloadBytes = 128;

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
  timeouts: 0,
  recentBits: 0,
  recentLosses: 0,
});

/**
 * The payload that carries most over a line that destroys a frame of n bytes with the probability 8 n b: √(overhead ∕ 8 b),
 * where b is the rate at which bits were fatal of late. 512 bytes up to b = 7e-6, 64 at 4e-4.
 */
export function bestPayloadBytes({ recentBits, recentLosses }: Sender, largest: number): number {
  const fatal = recentLosses / (recentBits + trustedBits);
  const most = recentBits < untriedBits ? untriedPayloadBytes : largest;
  const best = fatal > 0 ? Math.floor(Math.sqrt(frameOverheadBytes / (8 * fatal))) : most;
  return Math.min(largest, most, Math.max(minPayloadBytes, best));
}

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
  return { ...sender, smoothedMs: smoothed, variationMs: variation };
}

/** As long as things go on: time-outs that follow each other double it. */
const usualTimeoutMs = ({ smoothedMs, variationMs }: Sender): number =>
  smoothedMs === undefined
    ? firstTimeoutMs
    : Math.min(maxTimeoutMs, Math.max(minTimeoutMs, smoothedMs + 4 * variationMs));

/** What an acknowledgement says. One that lies outside what was sent is ignored: it cannot be of this session. */
export function acknowledge(sender: Sender, ack: Ack, nowMs: number): Sender {
  const base = sender.outstanding[0]?.number ?? sender.nextNumber;
  const done = ahead16(ack.expected, base);
  if (ahead16(ack.expected, sender.nextNumber) > 0) return sender;
  const came = (frame: Outstanding): boolean => {
    const place = ahead16(frame.number, ack.expected);
    if (place <= 0 || ack.received === 0n) return place < 0;
    return place <= 64 && ((ack.received >> BigInt(place - 1)) & 1n) === 1n;
  };
  let { orderSeen } = sender;
  let took: number | undefined;
  let losses = 0;
  let progress = done > 0;
  for (const frame of sender.outstanding) {
    if (frame.acknowledged || !came(frame)) continue;
    progress = true;
    orderSeen = Math.max(orderSeen, frame.order);
    // Karn: of a frame sent twice it cannot be told which came.
    if (frame.sendings === 1) took = nowMs - frame.sentAtMs;
    if (frame.lost) losses--;
  }
  const outstanding = sender.outstanding.slice(Math.max(0, done)).map((frame) => {
    if (frame.acknowledged) return frame;
    if (came(frame)) return { ...frame, acknowledged: true, lost: false };
    if (frame.lost || frame.order + reorderFrames > orderSeen) return frame;
    losses++;
    return { ...frame, lost: true };
  });
  const credit = difference32(ack.credit, sender.credit) > 0 ? ack.credit : sender.credit;
  const timed = took === undefined ? sender : withRoundTrip(sender, took);
  // Not only after a measured round trip: when every frame goes more than once there is none for long.
  const timeoutMs = progress ? usualTimeoutMs(timed) : sender.timeoutMs;
  const timeoutAtMs =
    outstanding.length === 0 ? undefined : progress ? nowMs + timeoutMs : sender.timeoutAtMs;
  const timeouts = progress ? 0 : sender.timeouts;
  const recentLosses = sender.recentLosses + Math.max(0, losses);
  return { ...timed, outstanding, credit, orderSeen, timeoutMs, timeoutAtMs, timeouts, recentLosses };
}

const bytesUnderWay = (outstanding: readonly Outstanding[]): number =>
  outstanding.reduce((sum, it) => (it.acknowledged || it.lost ? sum : sum + it.payload.length), 0);

/**
 * After a time-out the oldest frame goes again, alone: its acknowledgement tells what became of the others. After a second one
 * they all go.
 */
export function expire(sender: Sender, nowMs: number): Sender {
  if (sender.timeoutAtMs === undefined || nowMs < sender.timeoutAtMs) return sender;
  const oldest = sender.outstanding.findIndex((frame) => !frame.acknowledged);
  const outstanding = sender.outstanding.map((frame, i) =>
    i === oldest || (sender.timeouts > 0 && !frame.acknowledged) ? { ...frame, lost: true } : frame,
  );
  const timeoutMs = Math.min(maxTimeoutMs, 2 * sender.timeoutMs);
  return {
    ...sender,
    outstanding,
    timeoutMs,
    timeoutAtMs: nowMs + timeoutMs,
    timeouts: sender.timeouts + 1,
    recentLosses: sender.recentLosses + 1,
  };
}

const nothing: readonly Sequenced[] = [];

/** What goes out now: lost frames first, then waiting ones as far as there is room. */
export function takeDue(sender: Sender, nowMs: number): { sender: Sender; frames: readonly Sequenced[] } {
  const { limits, waiting, credit } = sender;
  let { nextNumber, spent, sendings, recentBits, recentLosses } = sender;
  let underWay = bytesUnderWay(sender.outstanding);
  const hasRoom = (payload: Uint8Array): boolean =>
    underWay === 0 || underWay + payload.length <= limits.bytesUnderWay;
  const mayGo = (payload: Uint8Array | undefined, framesOut: number): payload is Uint8Array =>
    payload !== undefined &&
    framesOut < limits.windowFrames &&
    difference32(credit, add32(spent, frameCost(payload.length))) >= 0 &&
    hasRoom(payload);
  // Most events make room for nothing: nothing is copied for them.
  const anyLost = sender.outstanding.some(({ lost }) => lost);
  if (!anyLost && !mayGo(waiting[0]?.payload, sender.outstanding.length)) return { sender, frames: nothing };

  const frames: Sequenced[] = [];
  const outstanding = [...sender.outstanding];
  const send = (frame: Sequenced): void => {
    frames.push(frame);
    underWay += frame.payload.length;
    sendings++;
    recentBits = recentBits * fading + 8 * (frame.payload.length + frameOverheadBytes);
    recentLosses *= fading;
  };
  outstanding.forEach((frame, i) => {
    if (!frame.lost || !hasRoom(frame.payload)) return;
    send(frame);
    outstanding[i] = {
      ...frame,
      lost: false,
      order: sendings,
      sentAtMs: nowMs,
      sendings: frame.sendings + 1,
    };
  });
  let taken = 0;
  for (let next = waiting[0]; next && mayGo(next.payload, outstanding.length); next = waiting[taken]) {
    taken++;
    const frame = { ...next, number: nextNumber };
    send(frame);
    outstanding.push({
      ...frame,
      acknowledged: false,
      lost: false,
      order: sendings,
      sentAtMs: nowMs,
      sendings: 1,
    });
    nextNumber = next16(nextNumber);
    spent = add32(spent, frameCost(next.payload.length));
  }
  if (frames.length === 0) return { sender, frames };
  const timeoutAtMs = sender.timeoutAtMs ?? nowMs + sender.timeoutMs;
  const sent = { nextNumber, spent, sendings, timeoutAtMs, recentBits, recentLosses };
  return { sender: { ...sender, ...sent, outstanding, waiting: waiting.slice(taken) }, frames };
}

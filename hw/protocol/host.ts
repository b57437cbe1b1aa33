/**
 * The host's state machine: (state, event, now) → (state, effects). Pure; whoever runs it owns the port, the clock and the
 * printing. It greets, negotiates, keeps the sequence, notices silence, aborts, and takes up again after a cut.
 */
import {
  type Capabilities,
  decodeAck,
  decodeStatus,
  decodeWelcome,
  encodeAbort,
  encodeHello,
  type Status,
} from "./control.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import { encodeMessage, type Message } from "./messages.ts";
import {
  acknowledge,
  bestPayloadBytes,
  expire,
  isDrained,
  offer,
  type Sender,
  startSender,
  takeDue,
} from "./sender.ts";
import { ahead16, next16 } from "./serial.ts";
import { hostTiming, version } from "./timing.ts";
import { frameType } from "./words.ts";

export interface HostOptions {
  readonly minVersion: number;
  readonly maxVersion: number;
  /** Drawn anew at each start of the host, 0 to 2³² − 1. */
  readonly bootId: number;
  /** Where sessions begin to be counted, 0 to 65535; drawn anew too. */
  readonly firstSession: number;
  /** Largest payload of a sequenced frame; the engine's own limit if that is smaller. */
  readonly payloadBytes: number;
  /** Payload bytes under way at most: what the line carries in about a tenth of a second. */
  readonly bytesUnderWay: number;
}

type Phase =
  | { readonly kind: "closed" }
  | { readonly kind: "greeting"; readonly helloAtMs: number }
  | { readonly kind: "up" }
  /** ABORT goes out under the old session until the engine speaks under the new one. */
  | { readonly kind: "aborting"; readonly abortAtMs: number; readonly oldSession: number }
  /** No version in common; the engine may be changed for another, so greetings go on slowly. */
  | { readonly kind: "refused"; readonly helloAtMs: number };

export interface Host {
  readonly options: HostOptions;
  readonly phase: Phase;
  readonly session: number;
  /** The engine start that this session is with; undefined until it is welcomed. */
  readonly engineBootId: number | undefined;
  readonly capabilities: Capabilities | undefined;
  readonly sender: Sender;
  /** Counts unsequenced frames. */
  readonly counter: number;
  /** Of the newest ACK and STATUS in this session, so that older ones are dropped. */
  readonly ackNumber: number | undefined;
  readonly statusNumber: number | undefined;
  readonly heardAtMs: number;
  readonly saidAtMs: number;
}

export type HostEvent =
  | { readonly kind: "opened" }
  | { readonly kind: "closed" }
  | { readonly kind: "frame"; readonly frame: Frame }
  /** A sequenced message. It waits while the engine is silent, and is void in a session that is not up yet. Its data are not copied. */
  | { readonly kind: "send"; readonly message: Message }
  /** Everything that is not stacked shall be thrown out, now, whatever is under way. */
  | { readonly kind: "abort" }
  /** Time went by, and all that the engine said until now has been told: only this shows that it is silent, or a frame lost. */
  | { readonly kind: "tick" };

export type HostEffect =
  | { readonly kind: "transmit"; readonly bytes: Uint8Array }
  /** The engine is there. Unless resumed, all that was sent or waited before is void, and the engine has thrown it out. */
  | { readonly kind: "up"; readonly resumed: boolean; readonly capabilities: Capabilities }
  | { readonly kind: "refused"; readonly engineMinVersion: number; readonly engineMaxVersion: number }
  /** The engine fell silent; greetings go out. The port may be worth reopening. */
  | { readonly kind: "lost" }
  | { readonly kind: "status"; readonly status: Status };

export interface HostStep {
  readonly host: Host;
  readonly effects: readonly HostEffect[];
}

const noEffects: readonly HostEffect[] = [];
const noSender = startSender({ windowFrames: 1, bytesUnderWay: 1 });

export const startHost = (options: HostOptions, nowMs: number): Host => ({
  options,
  phase: { kind: "closed" },
  session: options.firstSession,
  engineBootId: undefined,
  capabilities: undefined,
  sender: noSender,
  counter: 0,
  ackNumber: undefined,
  statusNumber: undefined,
  heardAtMs: nowMs,
  saidAtMs: nowMs,
});

/** All messages sent so far have come to the engine. */
export const isDelivered = (host: Host): boolean => isDrained(host.sender);
/** Messages wait for credit or for the window: do not send more yet. */
export const isHeldUp = (host: Host): boolean => host.sender.waiting.length > 0;
/** The payload that sequenced frames should have now: what host and engine allow, less on a bad line. */
export const payloadBytesOf = ({ options, capabilities, sender }: Host): number =>
  bestPayloadBytes(
    sender,
    Math.min(options.payloadBytes, capabilities?.maxPayloadBytes ?? options.payloadBytes),
  );

/** When `tick` is due at the latest; undefined: never. */
export function hostDueMs({ phase, heardAtMs, saidAtMs, sender }: Host): number | undefined {
  switch (phase.kind) {
    case "closed":
      return undefined;
    case "greeting":
    case "refused":
      return phase.helloAtMs;
    case "aborting":
      return Math.min(phase.abortAtMs, heardAtMs + hostTiming.silentMs);
    case "up":
      return Math.min(
        sender.timeoutAtMs ?? Infinity,
        heardAtMs + hostTiming.silentMs,
        saidAtMs + hostTiming.heartbeatMs,
      );
  }
}

function say(host: Host, type: number, session: number, payload: Uint8Array, nowMs: number): HostStep {
  const bytes = encodeFrame({ type, session, number: host.counter, payload });
  return {
    host: { ...host, counter: next16(host.counter), saidAtMs: nowMs },
    effects: [{ kind: "transmit", bytes }],
  };
}

/** A session of its own: nothing of the one before counts. */
const newSession = (host: Host, session: number): Host => ({
  ...host,
  session,
  engineBootId: undefined,
  sender: noSender,
  ackNumber: undefined,
  statusNumber: undefined,
});

const greet = (host: Host, nowMs: number): Host => ({
  ...host,
  phase: { kind: "greeting", helloAtMs: nowMs },
});

function senderFor(host: Host, capabilities: Capabilities): Sender {
  const { bytesUnderWay } = host.options;
  return startSender({ windowFrames: capabilities.windowFrames, bytesUnderWay });
}

function takeWelcome(host: Host, payload: Uint8Array, nowMs: number): HostStep {
  const welcome = decodeWelcome(payload);
  const { options, phase } = host;
  const greeting = phase.kind === "greeting" || phase.kind === "refused";
  if (!welcome || welcome.hostBootId !== options.bootId || !greeting) return { host, effects: [] };
  const { capabilities } = welcome;
  if (!capabilities || welcome.version < options.minVersion || welcome.version > options.maxVersion) {
    const refused: Host = {
      ...host,
      phase: { kind: "refused", helloAtMs: nowMs + hostTiming.refusedHelloMs },
    };
    if (phase.kind === "refused") return { host: refused, effects: [] };
    const { minVersion: engineMinVersion, maxVersion: engineMaxVersion } = welcome;
    return { host: refused, effects: [{ kind: "refused", engineMinVersion, engineMaxVersion }] };
  }
  const known = host.engineBootId;
  if (known === undefined) {
    const sender = senderFor(host, capabilities);
    return {
      host: { ...host, phase: { kind: "up" }, engineBootId: welcome.engineBootId, capabilities, sender },
      effects: [{ kind: "up", resumed: false, capabilities }],
    };
  }
  if (welcome.resumed && welcome.engineBootId === known) {
    return {
      host: { ...host, phase: { kind: "up" } },
      effects: [{ kind: "up", resumed: true, capabilities }],
    };
  }
  // The engine restarted or forgot the session. Frames of it may still be on the line: take a new one.
  return { host: greet(newSession(host, next16(host.session)), nowMs), effects: [] };
}

const isNewer = (number: number, seen: number | undefined): boolean =>
  seen === undefined || ahead16(number, seen) > 0;

function takeReport(host: Host, { type, number, payload }: Frame, nowMs: number): HostStep {
  if (type === frameType.ack && isNewer(number, host.ackNumber)) {
    const ack = decodeAck(payload);
    if (ack) {
      const sender = acknowledge(host.sender, ack, nowMs);
      return { host: { ...host, ackNumber: number, sender }, effects: [] };
    }
  }
  if (type === frameType.status && isNewer(number, host.statusNumber)) {
    const status = decodeStatus(payload);
    if (status) return { host: { ...host, statusNumber: number }, effects: [{ kind: "status", status }] };
  }
  return { host, effects: [] };
}

function takeFrame(before: Host, frame: Frame, nowMs: number): HostStep {
  if (frame.session !== before.session || before.phase.kind === "closed")
    return { host: before, effects: [] };
  const host = { ...before, heardAtMs: nowMs };
  if (frame.type === frameType.welcome) return takeWelcome(host, frame.payload, nowMs);
  if (host.phase.kind === "up") return takeReport(host, frame, nowMs);
  if (host.phase.kind !== "aborting" || !host.capabilities) return { host, effects: [] };
  // The engine speaks under the new session: the abort is done.
  const { capabilities } = host;
  const up: Host = { ...host, phase: { kind: "up" }, sender: senderFor(host, capabilities) };
  const step = takeReport(up, frame, nowMs);
  return { host: step.host, effects: [{ kind: "up", resumed: false, capabilities }, ...step.effects] };
}

function abort(host: Host, nowMs: number): Host {
  const next = newSession(host, next16(host.session));
  switch (host.phase.kind) {
    case "up":
      return {
        ...next,
        engineBootId: host.engineBootId,
        phase: { kind: "aborting", abortAtMs: nowMs, oldSession: host.session },
      };
    case "greeting":
      // A Hello with a new session aborts as well.
      return greet(next, nowMs);
    case "closed":
      return next;
    case "aborting":
    case "refused":
      return host;
  }
}

function takeEvent(host: Host, event: HostEvent, nowMs: number): HostStep {
  switch (event.kind) {
    case "opened":
      return { host: { ...greet(host, nowMs), heardAtMs: nowMs }, effects: [] };
    case "closed": {
      const next = host.phase.kind === "aborting" ? { ...host, engineBootId: undefined } : host;
      const wasUp = host.phase.kind === "up" || host.phase.kind === "aborting";
      return { host: { ...next, phase: { kind: "closed" } }, effects: wasUp ? [{ kind: "lost" }] : [] };
    }
    case "frame":
      return takeFrame(host, event.frame, nowMs);
    case "send": {
      // Messages wait for the session to be taken up again; without one they are void, like all that was sent in the one before.
      if (host.engineBootId === undefined || host.phase.kind === "aborting") return { host, effects: [] };
      const { type, payload } = encodeMessage(event.message);
      return { host: { ...host, sender: offer(host.sender, type, payload) }, effects: [] };
    }
    case "abort":
      return { host: abort(host, nowMs), effects: [] };
    case "tick":
      return { host, effects: [] };
  }
}

/** What is due by the clock; `isTick`: what the engine failed to say in time, too. */
function takeTime(host: Host, nowMs: number, isTick: boolean): HostStep {
  const { phase, session, options } = host;
  const { minVersion, maxVersion, bootId: hostBootId } = options;
  // Compared as hostDueMs computes it, to the last bit: a tick that came too soon by a rounding would come again at once.
  const silent = isTick && nowMs >= host.heardAtMs + hostTiming.silentMs;
  switch (phase.kind) {
    case "closed":
      return { host, effects: [] };
    case "greeting":
    case "refused": {
      if (nowMs < phase.helloAtMs) return { host, effects: [] };
      const repeatMs = phase.kind === "greeting" ? hostTiming.helloMs : hostTiming.refusedHelloMs;
      const hello = encodeHello({ minVersion, maxVersion, hostBootId });
      const next = { ...host, phase: { ...phase, helloAtMs: nowMs + repeatMs } };
      return say(next, frameType.hello, session, hello, nowMs);
    }
    case "aborting": {
      // The engine may have restarted, so that it does not know the session that ABORT ends: greet in the new one.
      if (silent) return lose({ ...host, engineBootId: undefined }, nowMs);
      if (nowMs < phase.abortAtMs) return { host, effects: [] };
      const next = { ...host, phase: { ...phase, abortAtMs: nowMs + hostTiming.abortMs } };
      return say(next, frameType.abort, phase.oldSession, encodeAbort(session), nowMs);
    }
    case "up": {
      if (silent) return lose(host, nowMs);
      const { sender, frames } = takeDue(isTick ? expire(host.sender, nowMs) : host.sender, nowMs);
      const isQuiet = nowMs < host.saidAtMs + hostTiming.heartbeatMs;
      if (frames.length === 0 && sender === host.sender && isQuiet) return { host, effects: noEffects };
      const effects = frames.map((frame): HostEffect => {
        return { kind: "transmit", bytes: encodeFrame({ ...frame, session }) };
      });
      const saidAtMs = frames.length > 0 ? nowMs : host.saidAtMs;
      const next = { ...host, sender, saidAtMs };
      if (nowMs < saidAtMs + hostTiming.heartbeatMs) return { host: next, effects };
      return say(next, frameType.ping, session, new Uint8Array(0), nowMs);
    }
  }
}

function lose(host: Host, nowMs: number): HostStep {
  const step = takeTime(greet(host, nowMs), nowMs, true);
  return { host: step.host, effects: [{ kind: "lost" }, ...step.effects] };
}

export function stepHost(before: Host, event: HostEvent, nowMs: number): HostStep {
  const taken = takeEvent(before, event, nowMs);
  const timed = takeTime(taken.host, nowMs, event.kind === "tick");
  if (taken.effects.length === 0) return timed;
  return { host: timed.host, effects: [...taken.effects, ...timed.effects] };
}

/** This package's version of the protocol, at both ends of the range. */
export const ownVersions = { minVersion: version, maxVersion: version } as const;

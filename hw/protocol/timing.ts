/** Version and time-outs of the protocol, in milliseconds. */

export const version = 1;

export const hostTiming = {
  /** HELLO is repeated until WELCOME. */
  helloMs: 250,
  /** … and this slowly after a refusal. */
  refusedHelloMs: 2000,
  /** ABORT is repeated until the engine speaks under the new session. */
  abortMs: 100,
  /** PING goes out when nothing else did for so long. */
  heartbeatMs: 500,
  /** Without a frame from the engine for so long, it is lost. */
  silentMs: 2500,
} as const;

export const engineTiming = {
  /** STATUS goes out at least so often. */
  heartbeatMs: 500,
  /** An acknowledgement waits for others no longer than this … */
  ackMs: 10,
  /** … and for no more frames than this. */
  ackFrames: 4,
  /** Without a frame from the host for so long, the engine feeds no further sheet. */
  silentMs: 3000,
  /** … and after so long it throws out what is not stacked, and forgets the session. */
  forgetMs: 60_000,
} as const;

/**
 * An engine that takes pages as fast as they come and lays no dots: a program, `engine.ts PTY [BAUD]`, so that none of what an
 * engine does is counted as the printer's. It keeps the whole protocol, and all its codecs are on offer. The line to it takes
 * as long as one of that baud rate would, or no time. Says `ready`, and with each page how many bytes have come so far.
 */
import {
  decodeMessage,
  type Engine,
  type EngineLinkEvent,
  engineDueMs,
  FrameReader,
  frameCost,
  idleStatus,
  ownVersions,
  type Sequenced,
  startEngine,
  type Status,
  stepEngine,
} from "../../hw/protocol/index.ts";
import {
  FaultyLine,
  type Line,
  type LineOptions,
  ptyLine,
  realClock,
  seededRandom,
  simulatedCapabilities,
} from "../../hw/src/link/index.ts";

const capacityBytes = 1024 * 1024;

/** Runs at the end of `line` for ever. */
function attend(line: Line, speed: LineOptions): void {
  const reader = new FrameReader();
  const forth = new FaultyLine(realClock, seededRandom(1), speed, (bytes) => {
    for (const frame of reader.push(bytes)) take({ kind: "frame", frame });
  });
  const events: EngineLinkEvent[] = [];
  const options = { ...ownVersions, bootId: 1, capabilities: simulatedCapabilities, capacityBytes };
  let status = idleStatus;
  let engine: Engine = startEngine(options, status, realClock.nowMs());
  let stepping = false;
  let cancelTick = () => {};

  const tell = (change: Partial<Status>): void => {
    status = { ...status, ...change };
    take({ kind: "status", status });
  };
  const deliver = ({ type, payload }: Sequenced): void => {
    const message = decodeMessage(type, payload);
    if (message?.kind === "job") tell({ jobKey: message.jobKey, sheetsStacked: message.sheetsStacked });
    // One-sided pages only: each is a sheet.
    if (message?.kind === "page-end") {
      console.log(String(forth.counts.bytes));
      tell({ sheetsStacked: status.sheetsStacked + 1, stackedDigest: message.digest });
    }
    take({ kind: "done", cost: frameCost(payload.length) });
  };
  const take = (event: EngineLinkEvent): void => {
    events.push(event);
    if (stepping) return;
    stepping = true;
    for (let next = events.shift(); next; next = events.shift()) {
      const step = stepEngine(engine, next, realClock.nowMs());
      engine = step.engine;
      for (const effect of step.effects) {
        if (effect.kind === "transmit") line.write(effect.bytes);
        if (effect.kind === "deliver") deliver(effect.frame);
      }
    }
    stepping = false;
    cancelTick();
    const dueMs = engineDueMs(engine);
    if (dueMs === undefined) return;
    cancelTick = realClock.after(dueMs - realClock.nowMs(), () => take({ kind: "tick" }));
  };
  line.onBytes((bytes) => forth.send(bytes));
}

const [path, baud] = process.argv.slice(2);
await using line = await ptyLine(path!);
attend(line, baud === undefined ? {} : { baudRateBps: Number(baud) });
console.log("ready");
await line.closed;

import { expect, test } from "vitest";
import { realClock } from "./clock.ts";
import { FaultyLine } from "./faulty-line.ts";
import { seededRandom } from "./random.ts";

test("a line in real time that makes no faults brings what it was given, in order, however busy the process is", async () => {
  const sent = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 2654435761) >>> 24);
  const came: Uint8Array[] = [];
  const all = Promise.withResolvers<void>();
  let left = sent.length;
  const line = new FaultyLine(realClock, seededRandom(1), { baudRateBps: 12_000_000 }, (bytes) => {
    came.push(bytes);
    left -= bytes.length;
    if (left === 0) all.resolve();
  });
  for (let at = 0; at < sent.length; at += 5000) {
    line.send(sent.subarray(at, at + 5000));
    // Timers that are asked for now begin when the event loop last looked at the clock.
    const untilMs = performance.now() + 1.3;
    while (performance.now() < untilMs);
  }
  await all.promise;
  expect(Buffer.concat(came).equals(sent)).toBe(true);
});

import { expect, test } from "vitest";
import { fromHex, toHex } from "../bytes.ts";
import { decodeBand } from "../codecs/codec.ts";
import { FrameReader } from "../frame.ts";
import { decodeMessage } from "../messages.ts";
import { startPrintStream, takeMessage } from "../page.ts";
import type { CodecName } from "../words.ts";
import bandsFile from "./bands.golden.json" with { type: "json" };
import { bands, capabilities, damagedBands, frames, streams } from "./cases.ts";
import framesFile from "./frames.golden.json" with { type: "json" };
import streamsFile from "./streams.golden.json" with { type: "json" };

test("what is encoded today is what the golden files hold", () => {
  const asFile = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  expect(asFile(frames)).toEqual(framesFile);
  expect(asFile({ bands, damaged: damagedBands })).toEqual(bandsFile);
  expect(asFile(streams)).toEqual(streamsFile);
});

test.each(framesFile)("golden frame $name is read", ({ line, type, session, number, payload }) => {
  const [frame] = new FrameReader().push(fromHex(line));
  expect(frame && { ...frame, payload: toHex(frame.payload) }).toEqual({ type, session, number, payload });
});

test.each(bandsFile.bands)(
  "golden band $name in $codec is undone",
  ({ codec, strideBytes, plain, coded }) => {
    const bits = new Uint8Array(plain.length / 2);
    expect(decodeBand(codec as CodecName, fromHex(coded), bits, strideBytes)).toBe(true);
    expect(toHex(bits)).toBe(plain);
  },
);

test.each(bandsFile.damaged)(
  "golden damage in $codec, $coded, is refused",
  ({ codec, strideBytes, plainBytes, coded }) => {
    expect(decodeBand(codec as CodecName, fromHex(coded), new Uint8Array(plainBytes), strideBytes)).toBe(
      false,
    );
  },
);

test.each(streamsFile)("golden sequence, $name: $verdict", ({ messages, verdict, digest }) => {
  let stream = startPrintStream;
  let found = "accepted";
  for (const { type, payload } of messages) {
    const step = takeMessage(
      stream,
      decodeMessage(type, fromHex(payload)),
      capabilities,
      (job) => job.sheetsStacked,
    );
    if ("refusal" in step) {
      found = step.refusal;
      break;
    }
    stream = step.stream;
  }
  expect(found).toBe(verdict);
  expect(stream.digest).toBe(digest);
});

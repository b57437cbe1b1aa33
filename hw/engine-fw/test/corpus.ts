/** `node corpus.ts FOLDER`: first inputs for fuzz.c, made of the golden vectors, so that it starts where the code is deep. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import bandsFile from "../../protocol/golden/bands.golden.json" with { type: "json" };
import framesFile from "../../protocol/golden/frames.golden.json" with { type: "json" };
import streamsFile from "../../protocol/golden/streams.golden.json" with { type: "json" };
import { codecNames } from "../../protocol/words.ts";

/** The first byte's ranges: below 64 a codec, below 96 bytes of the line, else frames. */
const [lineInput, frameInput] = [64, 96];

const bytesOf = (hex: string): Uint8Array => Buffer.from(hex, "hex");

function bandInput(codec: string, strideBytes: number, plainBytes: number, coded: string): Uint8Array {
  const rows = plainBytes / strideBytes;
  const number = codecNames.findIndex((known) => known === codec);
  return Buffer.concat([Uint8Array.of(number, strideBytes - 1, rows - 1), bytesOf(coded)]);
}

/** Longer messages than fit into an input are left out. */
function streamInput(messages: readonly { type: number; payload: string }[]): Uint8Array {
  const parts = messages.map(({ type, payload }) => {
    const bytes = bytesOf(payload);
    return Buffer.concat([Uint8Array.of(type, 0, Math.min(255, bytes.length)), bytes.subarray(0, 255)]);
  });
  return Buffer.concat([Uint8Array.of(frameInput), ...parts]);
}

const inputs = [
  ...bandsFile.bands.map((it) => bandInput(it.codec, it.strideBytes, it.plain.length / 2, it.coded)),
  ...bandsFile.damaged.map((it) => bandInput(it.codec, it.strideBytes, it.plainBytes, it.coded)),
  ...framesFile.map(({ line }) => Buffer.concat([Uint8Array.of(lineInput), bytesOf(line)])),
  ...streamsFile.map(({ messages }) => streamInput(messages)),
];

const folder = process.argv[2];
if (folder === undefined) throw new Error("name a folder");
mkdirSync(folder, { recursive: true });
inputs.forEach((input, i) => writeFileSync(join(folder, `golden-${i}`), input));

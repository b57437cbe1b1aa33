/** The thread behind serial-packer.ts: the codecs of the engine link. */
import { type Capabilities, type PackedStrip, packStrip, type Strip } from "@platen/hw/protocol";
import { answerQuestions } from "./thread-side.ts";

export interface PackQuestion {
  readonly strip: Strip;
  /** Of the sheet before the strip. */
  readonly digest: number;
  readonly engine: Capabilities;
}

answerQuestions(({ strip, digest, engine }: PackQuestion) => {
  const answer: PackedStrip = packStrip(strip, digest, engine);
  return { answer, transfer: answer.bands.map(({ bytes }) => bytes.buffer) };
});

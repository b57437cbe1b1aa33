/** A packing thread for tests: a strip at row 13 ends it. */
import { packStrip } from "@platen/hw/protocol";
import type { PackQuestion } from "../adapters/pack-thread.ts";
import { answerQuestions } from "../adapters/thread-side.ts";

answerQuestions(({ strip, digest, engine }: PackQuestion) => {
  if (strip.yPx === 13) process.exit(3);
  return { answer: packStrip(strip, digest, engine) };
});

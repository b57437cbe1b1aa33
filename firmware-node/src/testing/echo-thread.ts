/** A thread for tests: says what it is told, fails, or crashes. */
import { answerQuestions } from "../adapters/thread-side.ts";

let asked = 0;
answerQuestions((question: string) => {
  asked++;
  if (question === "fail") throw new Error("as it was told");
  if (question === "crash") process.exit(3);
  return { answer: { question, asked } };
});

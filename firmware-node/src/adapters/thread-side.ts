/** Inside a thread that thread.ts asks. It imports little on purpose: what a thread loads, the process holds twice. */
import { parentPort, type Transferable } from "node:worker_threads";

/** What a thread sends back. */
export type Reply<A> = { readonly answer: A } | { readonly error: unknown };

/** Answers each question with what `handle` gives, or tells what it throws. */
export function answerQuestions<Q, A>(
  handle: (question: Q) => { readonly answer: A; readonly transfer?: readonly Transferable[] },
): void {
  const port = parentPort!;
  port.on("message", (question: Q) => {
    try {
      const { answer, transfer = [] } = handle(question);
      port.postMessage({ answer } satisfies Reply<A>, transfer);
    } catch (error) {
      port.postMessage({ error } satisfies Reply<A>);
    }
  });
}

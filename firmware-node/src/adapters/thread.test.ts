import { expect, test } from "vitest";
import { Thread } from "./thread.ts";

const open = () =>
  new Thread<string, { question: string; asked: number }>({
    module: new URL("../testing/echo-thread.ts", import.meta.url),
    name: "echo",
  });

test("answers come in the order of the questions, and a failure is told to whoever asked", async () => {
  await using thread = open();
  const answers = ["a", "fail", "b"].map((question) => thread.ask(question));
  expect(await answers[0]).toEqual({ question: "a", asked: 1 });
  await expect(answers[1]).rejects.toMatchObject({
    code: "internal",
    message: "the echo thread failed: as it was told",
  });
  expect(await answers[2]).toEqual({ question: "b", asked: 3 });
});

test("a crash rejects what waits, and the next question meets a new thread", async () => {
  await using thread = open();
  const lost = ["crash", "b"].map((question) => thread.ask(question));
  for (const one of lost) {
    await expect(one).rejects.toMatchObject({
      code: "internal",
      message: "the echo thread has crashed: it ended with 3",
    });
  }
  expect(await thread.ask("again")).toEqual({ question: "again", asked: 1 });
});

test("disposing rejects what waits", async () => {
  const thread = open();
  const waiting = thread.ask("a");
  await thread[Symbol.asyncDispose]();
  await expect(waiting).rejects.toMatchObject({ message: "the echo thread has been stopped" });
});

import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { ahead } from "./ahead.ts";

async function* numbers(made: number[], signal?: AbortSignal): AsyncGenerator<number> {
  for (let n = 1; ; n++) {
    await turn();
    if (signal?.aborted) return;
    made.push(n);
    yield n;
  }
}

test("the source works while the consumer is busy, but no more than a step ahead", async () => {
  const made: number[] = [];
  const stop = new AbortController();
  const items = ahead(numbers(made, stop.signal), { count: 1, stop: () => stop.abort() });
  expect((await items.next()).value).toBe(1);
  for (let i = 0; i < 20; i++) await turn();
  expect(made).toEqual([1, 2]);
  expect((await items.next()).value).toBe(2);
  for (let i = 0; i < 20; i++) await turn();
  expect(made).toEqual([1, 2, 3]);
  await items.return(undefined);
});

test("when the consumer stops, the source is closed, and what was made is dropped", async () => {
  const made: number[] = [];
  const dropped: number[] = [];
  const stop = new AbortController();
  const options = { count: 2, stop: () => stop.abort(), drop: (n: number) => void dropped.push(n) };
  for await (const item of ahead(numbers(made, stop.signal), options)) {
    for (let i = 0; i < 20; i++) await turn();
    if (item === 2) break;
  }
  expect(stop.signal.aborted).toBe(true);
  expect(dropped).toEqual(made.slice(2));
  expect(dropped.length).toBeGreaterThan(0);
});

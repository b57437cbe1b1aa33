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

test("marks take no place in the queue", async () => {
  const made: number[] = [];
  const stop = new AbortController();
  // One in three counts.
  const options = { count: 1, isFree: (n: number) => n % 3 > 0, stop: () => stop.abort() };
  const items = ahead(numbers(made, stop.signal), options);
  expect((await items.next()).value).toBe(1);
  for (let i = 0; i < 20; i++) await turn();
  expect(made).toEqual([1, 2, 3]);
  expect((await items.next()).value).toBe(2);
  expect((await items.next()).value).toBe(3);
  for (let i = 0; i < 20; i++) await turn();
  expect(made).toEqual([1, 2, 3, 4, 5, 6]);
  await items.return(undefined);
});

test("what was made before a failure comes before it; the end does not stop others", async () => {
  async function* failing(): AsyncGenerator<number> {
    yield 1;
    yield 2;
    throw new Error("no third");
  }
  let stops = 0;
  const items = ahead(failing(), { count: 5, stop: () => stops++ });
  for (let i = 0; i < 20; i++) await turn();
  expect((await items.next()).value).toBe(1);
  expect((await items.next()).value).toBe(2);
  await expect(items.next()).rejects.toThrow("no third");
  expect(stops).toBe(0);
});

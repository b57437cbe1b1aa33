import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { workQueueContract } from "../../ports/work-queue.contract.ts";
import { openSqliteWorkQueues } from "./sqlite-work-queue.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-queue-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe("the embedded work queues keep the contract", () => {
  workQueueContract(() => openSqliteWorkQueues(join(dir, "contract")));
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { keyValueContract } from "../../ports/key-value.contract.ts";
import { openSqliteKeyValueStore } from "./sqlite-key-value.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-kv-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe("the embedded key-value store keeps the contract", () => {
  keyValueContract(() => openSqliteKeyValueStore(join(dir, "contract")));
});

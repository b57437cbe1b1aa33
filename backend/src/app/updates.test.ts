import { createHash, generateKeyPairSync } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { UpdatePhase, UpdateStatusSchema } from "@platen/proto";
import { encodeHead, keyIdOf, type Manifest, parseManifest, signKeySet } from "@platen/proto/bundle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parsePrinterId } from "../domain/ids.ts";
import { openTestStorage, storageKinds, type TestStorage } from "../testing/test-storage.ts";
import { Updates } from "./updates.ts";

const key = () => generateKeyPairSync("ed25519").privateKey;
const [root, release, thief] = [key(), key(), key()];
const payload = Buffer.from("not a real payload: the backend only passes it on");
const { signal } = new AbortController();
const nodeSha = createHash("sha256").update(payload).digest("hex");

function manifestOf(version: string, changes: object = {}): Manifest {
  const runtime = { version: "24.0.0", sha256: nodeSha };
  return parseManifest(
    Buffer.from(
      JSON.stringify({
        format: 1,
        kind: "app",
        name: "platen-printer",
        version,
        board: "linux-test",
        channels: ["stable", "beta"],
        main: "main.js",
        commit: "",
        updaterMin: 1,
        keyId: keyIdOf(release),
        payload: { sizeBytes: payload.length, sha256: nodeSha, unpackedBytes: 1, files: 1 },
        runtime,
        ...changes,
      }),
    ),
  );
}

const bytesOf = (version: string, changes: object = {}, signer = release): Buffer =>
  Buffer.concat([encodeHead(manifestOf(version, changes), signer), payload]);

async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
}

const rollout = (version: string, changes: Partial<Parameters<Updates["setRollout"]>[0]> = {}) =>
  ({
    version,
    channel: "stable",
    board: "",
    percent: 100,
    state: "running",
    retry: false,
    downgradePermit: new Uint8Array(),
    ...changes,
  }) as const;

const status = (version: string, channel = "stable") =>
  create(UpdateStatusSchema, { phase: UpdatePhase.UP_TO_DATE, version, board: "linux-test", channel });
const printer = parsePrinterId("office");

describe.each(storageKinds)("updates on %s storage", (kind) => {
  let storage: TestStorage;
  let updates: Updates;
  beforeAll(async () => {
    storage = await openTestStorage(kind);
    const { keyValue, blobs } = storage.storage;
    updates = await Updates.open(keyValue, blobs, Date.now);
  });
  afterAll(() => storage[Symbol.asyncDispose]());

  test("a bundle that was added is offered to the printers of its channel, and its bytes come back", async () => {
    const bytes = bytesOf("1.1.0");
    const { sha256 } = await updates.add(chunks(bytes), signal);
    expect(await updates.offer(printer, "app", status("1.0.0"))).toBeUndefined();
    await updates.setRollout(rollout("1.1.0"));
    const offer = await updates.offer(printer, "app", status("1.0.0"));
    expect(offer?.bundles.map((one) => one.sha256)).toEqual([sha256]);
    expect(await updates.offer(printer, "app", status("1.1.0"))).toBeUndefined();
    expect(await updates.offer(printer, "app", status("1.0.0", "beta"))).toBeUndefined();
    expect(await updates.offer(printer, "app", status("1.0.0", "nightly"))).toBeUndefined();
    const parts: Uint8Array[] = [];
    for await (const part of (await updates.bytes(sha256))!.bytes()) parts.push(part);
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  });

  test("no printer at 0 percent, none while it is paused, none after it was stopped", async () => {
    await updates.setRollout(rollout("1.1.0", { percent: 0 }));
    expect(await updates.offer(printer, "app", status("1.0.0"))).toBeUndefined();
    await updates.setRollout(rollout("1.1.0", { state: "paused" }));
    expect(await updates.offer(printer, "app", status("1.0.0"))).toBeUndefined();
    await updates.setRollout(rollout("1.1.0"));
    expect(await updates.offer(printer, "app", status("1.0.0"))).toBeDefined();
    await updates.setRollout(rollout("1.1.0", { state: "stopped" }));
    expect(await updates.offer(printer, "app", status("1.0.0"))).toBeUndefined();
    expect(await updates.rollouts()).toEqual([]);
  });

  test("a step back is offered with a permit only", async () => {
    await updates.setRollout(rollout("1.1.0"));
    expect(await updates.offer(printer, "app", status("1.2.0"))).toBeUndefined();
    await updates.setRollout(rollout("1.1.0", { downgradePermit: Buffer.from("permit") }));
    expect((await updates.offer(printer, "app", status("1.2.0")))?.downgradePermit).toEqual(
      Buffer.from("permit"),
    );
  });

  test("each retry that is asked for is another attempt", async () => {
    expect((await updates.setRollout(rollout("1.1.0"))).attempt).toBe(1);
    expect((await updates.setRollout(rollout("1.1.0", { retry: true }))).attempt).toBe(2);
    expect((await updates.setRollout(rollout("1.1.0", { percent: 50 }))).attempt).toBe(2);
    await updates.setRollout(rollout("1.1.0"));
  });

  test("no attempt comes twice, whatever is stopped or rolled out in between", async () => {
    await updates.add(chunks(bytesOf("1.1.1")), signal);
    await updates.setRollout(rollout("1.1.0", { state: "stopped" }));
    expect((await updates.setRollout(rollout("1.1.0"))).attempt).toBe(2);
    await updates.setRollout(rollout("1.1.1"));
    expect((await updates.setRollout(rollout("1.1.0", { retry: true }))).attempt).toBe(3);
  });

  test("what is not said of a rollout stays as it is", async () => {
    const unsaid = { percent: undefined, state: undefined };
    await updates.setRollout(rollout("1.1.0", { percent: 10 }));
    const changes = [
      { retry: true },
      { state: "paused" },
      { retry: true },
      { percent: 20 },
      { state: "running" },
    ];
    const states: unknown[] = [];
    for (const change of changes) {
      const { percent, paused } = await updates.setRollout(
        rollout("1.1.0", { ...unsaid, ...(change as Partial<typeof unsaid>) }),
      );
      states.push([percent, paused]);
    }
    expect(states).toEqual([
      [10, false],
      [10, true],
      [10, true],
      [20, true],
      [20, false],
    ]);
    await updates.setRollout(rollout("1.1.0"));
  });

  test("a rollout begins with a percentage that somebody said, and only its own version stops it", async () => {
    const begun = rollout("1.1.1", { percent: undefined });
    await expect(updates.setRollout(begun)).rejects.toThrow("say to how many percent");
    const stop = rollout("1.1.1", { state: "stopped" });
    await expect(updates.setRollout(stop)).rejects.toMatchObject({ code: "update-unknown" });
    expect((await updates.rollouts()).map(({ version }) => version)).toEqual(["1.1.0"]);
  });

  test("the runtime that an app needs is offered before it, where it was added", async () => {
    const node = { kind: "runtime", name: "node", main: "bin/node", runtime: undefined };
    await updates.add(chunks(bytesOf("24.0.0", node)), signal);
    const offer = await updates.offer(printer, "app", status("1.0.0"));
    expect(offer?.bundles.map(({ manifest }) => manifest.kind)).toEqual(["runtime", "app"]);
    const runtime = offer!.bundles[0]!.sha256;
    await expect(updates.remove(runtime)).rejects.toThrow("stop that first");
  });

  test("a system is rolled out beside an app, to the boards that it is for, and never in an app's place", async () => {
    const system = { kind: "system", name: "platen-system", main: "vmlinuz", board: "card", updaterMin: 2 };
    await updates.add(chunks(bytesOf("7.0.0", system)), signal);
    expect((await updates.setRollout(rollout("7.0.0"))).board).toBe("card");
    const below = { ...status("1.0.0"), board: "card" };
    const kinds = async (kind: "app" | "system", of: typeof below) =>
      (await updates.offer(printer, kind, of))?.bundles.map(({ manifest }) => manifest.kind);
    expect(await kinds("system", below)).toEqual(["system"]);
    expect(await kinds("app", below)).toBeUndefined();
    expect(await kinds("system", status("1.0.0"))).toBeUndefined();
    expect(await kinds("app", status("1.0.0"))).toEqual(["runtime", "app"]);
    await updates.setRollout(rollout("7.0.0", { state: "stopped" }));
  });

  test("a version is one set of bytes: others under its name are refused", async () => {
    await updates.add(chunks(bytesOf("1.1.0")), signal);
    const other = bytesOf("1.1.0", { commit: "0".repeat(40) });
    await expect(updates.add(chunks(other), signal)).rejects.toThrow("with other bytes");
  });

  test("a version that is not there, or for several boards, is not rolled out", async () => {
    await expect(updates.setRollout(rollout("9.9.9"))).rejects.toMatchObject({ code: "update-unknown" });
    await updates.add(chunks(bytesOf("1.1.0", { board: "linux-other" })), signal);
    await expect(updates.setRollout(rollout("1.1.0"))).rejects.toThrow("say for which board");
    await expect(
      updates.setRollout(rollout("1.1.0", { channel: "nightly", board: "linux-test" })),
    ).rejects.toThrow("not on nightly");
  });

  test("with a key set in force, bundles of others and old key sets are refused", async () => {
    const first = signKeySet({ number: 1, root: [root], release: [release] }, [root]);
    expect((await updates.setKeySet(first)).number).toBe(1);
    await expect(updates.add(chunks(bytesOf("1.5.0", {}, thief)), signal)).rejects.toThrow("signature");
    await updates.add(chunks(bytesOf("1.5.0")), signal);
    await updates.setKeySet(signKeySet({ number: 2, root: [root], release: [thief] }, [root]));
    await expect(updates.setKeySet(first)).rejects.toThrow("out of date");
    await expect(updates.add(chunks(bytesOf("1.6.0")), signal)).rejects.toThrow("signature");
    expect((await updates.keySet())?.number).toBe(2);
  });

  test("a bundle that the key set in force does not trust is not rolled out, and may be paused", async () => {
    await expect(updates.setRollout(rollout("1.5.0"))).rejects.toThrow(
      "platen-printer 1.5.0 is signed with a key that key set 2 does not trust",
    );
    const one = (state: "paused" | "running") => rollout("1.1.0", { board: "linux-test", state });
    expect((await updates.setRollout(one("paused"))).paused).toBe(true);
    await expect(updates.setRollout(one("running"))).rejects.toMatchObject({
      code: "update-refused",
    });
    await updates.add(chunks(bytesOf("1.5.1", {}, thief)), signal);
    const runtime = rollout("1.5.1");
    await expect(updates.setRollout(runtime)).rejects.toThrow("node 24.0.0 is signed with a key");
  });

  test("a printer is handed the key sets that it missed one after the other", async () => {
    const roots = [root, key(), key(), key()];
    const sets = [3, 4, 10].map((number, i) =>
      signKeySet({ number, root: [roots[i + 1]!], release: [thief] }, [roots[i]!, roots[i + 1]!]),
    );
    for (const set of sets) await updates.setKeySet(set);
    expect((await updates.keySet())?.number).toBe(10);
    const after = async (number: number) => {
      const bytes = await updates.keySetAfter(number);
      return bytes && sets.findIndex((set) => Buffer.compare(set, bytes) === 0);
    };
    expect([await after(2), await after(3), await after(4), await after(10)]).toEqual([0, 1, 2, undefined]);
  });

  test("a damaged bundle is refused, and leaves nothing", async () => {
    const bytes = bytesOf("1.7.0", {}, thief);
    bytes[bytes.length - 1]! ^= 1;
    const before = (await updates.bundles()).length;
    await expect(updates.add(chunks(bytes), signal)).rejects.toMatchObject({ code: "update-invalid" });
    await expect(updates.add(chunks(bytes.subarray(0, -1)), signal)).rejects.toThrow("cut short");
    expect((await updates.bundles()).length).toBe(before);
    const store = await storage.storage.blobs.store("updates");
    for await (const { key: name } of store.list()) expect(name).toMatch(/^[0-9a-f]{64}$/);
  });
});

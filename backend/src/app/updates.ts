/**
 * The bundles that operators add and roll out, and what a printer is offered of them. A bundle's bytes lie in the blob store
 * `updates` under the SHA-256 of the file; what it is, the rollouts and the key sets lie in the bucket of the same name. Nothing
 * that is said here makes a printer run anything: it checks the signatures itself.
 */
import { createHash, randomUUID } from "node:crypto";
import { PlatenError, type UpdateStatus } from "@platen/proto";
import {
  compareVersions,
  decodeHead,
  headMaxBytes,
  type KeySet,
  type Manifest,
  manifestSchema,
  openKeySet,
} from "@platen/proto/bundle";
import { z } from "zod";
import type { PrinterId } from "../domain/ids.ts";
import { isIncluded } from "../domain/rollout.ts";
import type { Blob, BlobStore, BlobStores } from "../ports/blob.ts";
import type { Bucket, KeyValueStore } from "../ports/key-value.ts";
import { Records } from "./records.ts";

const bundleSchema = z.object({ sha256: z.string(), sizeBytes: z.number(), manifest: manifestSchema });
export type BundleRecord = Readonly<z.infer<typeof bundleSchema>>;

const rolloutSchema = z.object({
  channel: z.string(),
  board: z.string(),
  /** The bundle's file. */
  sha256: z.string(),
  version: z.string(),
  percent: z.number(),
  paused: z.boolean(),
  attempt: z.number(),
  /** A permit to go back, base64; empty when the rollout is no step back. */
  downgradePermit: z.string(),
});
export type RolloutRecord = Readonly<z.infer<typeof rolloutSchema>>;

const attemptSchema = z.object({ last: z.number() });

/** A key set as signed, base64. */
const keySetSchema = z.object({ number: z.number(), bytes: z.string() });

export interface RolloutChange {
  readonly version: string;
  readonly channel: string;
  /** May be empty when only one board has the version. */
  readonly board: string;
  /** Undefined: as it is. */
  readonly percent: number | undefined;
  /** Undefined: as it is; a rollout that begins runs. */
  readonly state: "running" | "paused" | "stopped" | undefined;
  readonly retry: boolean;
  readonly downgradePermit: Uint8Array;
}

export interface Offer {
  /** Runtime first where the app needs one. */
  readonly bundles: readonly BundleRecord[];
  readonly attempt: number;
  readonly downgradePermit: Uint8Array;
}

/** The largest bundle: a system is two thirds of it. */
const bundleMaxBytes = 256 * 1024 * 1024;
/** No upload lasts so long, milliseconds. */
const leftoverMs = 24 * 60 * 60 * 1000;
const keySetKey = (number: number): string => `key-set.${number}`;
/** Channels and boards have dots and more in their names, keys do not. */
const rolloutKey = (channel: string, board: string): string =>
  `rollout.${createHash("sha256").update(`${channel}\0${board}`).digest("hex")}`;
const bundleKey = (sha256: string): string => `bundle.${sha256}`;
const attemptKey = (sha256: string): string => `attempt.${sha256}`;

const unknown = (what: string): PlatenError => new PlatenError("update-unknown", what);
const refused = (what: string): PlatenError => new PlatenError("update-refused", what);

export class Updates {
  readonly #bundles: Records<BundleRecord>;
  readonly #rollouts: Records<RolloutRecord>;
  /** The last attempt at a bundle that was asked for; stays when the rollout, or the bundle, goes. */
  readonly #attempts: Records<z.infer<typeof attemptSchema>>;
  readonly #keySets: Records<z.infer<typeof keySetSchema>>;
  readonly #blobs: BlobStore;

  readonly #now: () => number;

  private constructor(bucket: Bucket, blobs: BlobStore, now: () => number) {
    this.#bundles = new Records(bucket, bundleSchema);
    this.#rollouts = new Records(bucket, rolloutSchema);
    this.#attempts = new Records(bucket, attemptSchema);
    this.#keySets = new Records(bucket, keySetSchema);
    this.#blobs = blobs;
    this.#now = now;
  }

  static async open(keyValue: KeyValueStore, blobs: BlobStores, now: () => number): Promise<Updates> {
    return new Updates(await keyValue.bucket("updates"), await blobs.store("updates"), now);
  }

  /**
   * Stores a bundle, whole or not at all; its signature is checked where a key set is in force. Throws `update-invalid`,
   * `update-refused` when the version is there with other bytes, `document-too-large`.
   */
  async add(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<BundleRecord> {
    const hash = createHash("sha256");
    const payloadHash = createHash("sha256");
    const start: Uint8Array[] = [];
    let sizeBytes = 0;
    await this.#sweep();
    const incoming = `incoming/${randomUUID()}`;
    const counted = async function* () {
      for await (const chunk of chunks) {
        signal.throwIfAborted();
        if (sizeBytes < headMaxBytes) start.push(chunk);
        sizeBytes += chunk.length;
        hash.update(chunk);
        yield chunk;
      }
    };
    try {
      await this.#blobs.put(incoming, counted(), { maxBytes: bundleMaxBytes, signal });
      const keys = await this.#openKeySet();
      const { manifest, payloadStart } = decodeHead(Buffer.concat(start), keys);
      const stored = await this.#blobs.get(incoming);
      if (sizeBytes !== payloadStart + manifest.payload.sizeBytes || !stored) throw broken();
      for await (const chunk of stored.bytes(payloadStart)) payloadHash.update(chunk);
      if (payloadHash.digest("hex") !== manifest.payload.sha256) throw broken();
      const sha256 = hash.digest("hex");
      await this.#requireNew(manifest, sha256);
      await this.#blobs.put(sha256, (await this.#blobs.get(incoming))!.bytes(), { signal });
      const record = { sha256, sizeBytes, manifest };
      await this.#bundles.put(bundleKey(sha256), record);
      return record;
    } finally {
      await this.#blobs.delete(incoming);
    }
  }

  /** What uploads left whose server died. */
  async #sweep(): Promise<void> {
    for await (const { key, modifiedMs } of this.#blobs.list("incoming")) {
      if (this.#now() - modifiedMs > leftoverMs) await this.#blobs.delete(key);
    }
  }

  async #requireNew({ name, version, board }: Manifest, sha256: string): Promise<void> {
    const bundles = await this.bundles();
    const same = bundles.find(
      ({ manifest }) => manifest.name === name && manifest.version === version && manifest.board === board,
    );
    if (same && same.sha256 !== sha256) {
      throw refused(
        `${name} ${version} for ${board} is there already, with other bytes: give it a new version`,
      );
    }
  }

  /** By name, board and version. */
  async bundles(): Promise<BundleRecord[]> {
    const bundles: BundleRecord[] = [];
    for await (const { value } of this.#bundles.all("bundle")) bundles.push(value);
    const place = ({ manifest: { name, board } }: BundleRecord) => `${name} ${board}`;
    return bundles.sort(
      (a, b) =>
        place(a).localeCompare(place(b), "en") || compareVersions(a.manifest.version, b.manifest.version),
    );
  }

  /** By channel and board. */
  async rollouts(): Promise<RolloutRecord[]> {
    const rollouts: RolloutRecord[] = [];
    for await (const { value } of this.#rollouts.all("rollout")) rollouts.push(value);
    const place = ({ channel, board }: RolloutRecord) => `${channel} ${board}`;
    return rollouts.sort((a, b) => place(a).localeCompare(place(b), "en"));
  }

  /** Begins, changes or ends a rollout. Resolves to what it is, or was when it ended. Throws `update-unknown`, `update-refused`. */
  async setRollout(change: RolloutChange): Promise<RolloutRecord> {
    const { version, channel, state, retry, downgradePermit } = change;
    const bundle = await this.#rollable(version, change.board);
    const { sha256, manifest } = bundle;
    const { board } = manifest;
    if (!manifest.channels.includes(channel)) {
      throw refused(`${version} may be offered on ${manifest.channels.join(", ")}, and not on ${channel}`);
    }
    const key = rolloutKey(channel, board);
    const present = (await this.#rollouts.get(key))?.value;
    const before = present?.sha256 === sha256 ? present : undefined;
    if (state === "stopped") {
      if (!before) throw unknown(`version ${version} is not rolled out on ${channel}`);
      await this.#rollouts.delete(key);
      return before;
    }
    const percent = change.percent ?? before?.percent;
    if (percent === undefined) {
      throw refused(`version ${version} is not rolled out on ${channel} yet: say to how many percent`);
    }
    const paused = state === undefined ? (before?.paused ?? false) : state === "paused";
    if (!paused) await this.#requireTrusted(bundle);
    const record: RolloutRecord = {
      channel,
      board,
      sha256,
      version,
      percent,
      paused,
      attempt: await this.#attemptOf(sha256, before, retry),
      downgradePermit: Buffer.from(downgradePermit).toString("base64") || (before?.downgradePermit ?? ""),
    };
    await this.#rollouts.put(key, record);
    return record;
  }

  /**
   * The attempt that a rollout is at; with `retry` the next one. No number comes twice, whatever was rolled out in between: a
   * board remembers at which one the version failed.
   */
  async #attemptOf(sha256: string, before: RolloutRecord | undefined, retry: boolean): Promise<number> {
    const last = Math.max(
      (await this.#attempts.get(attemptKey(sha256)))?.value.last ?? 1,
      before?.attempt ?? 1,
    );
    if (!retry) return before?.attempt ?? last;
    await this.#attempts.put(attemptKey(sha256), { last: last + 1 });
    return last + 1;
  }

  /** A bundle that was added before the key set in force may be one that no board takes any more. Throws `update-refused`. */
  async #requireTrusted(bundle: BundleRecord): Promise<void> {
    const keys = await this.#openKeySet();
    if (!keys) return;
    const runtime = await this.#runtimeOf(bundle.manifest);
    for (const { sha256, manifest } of runtime ? [bundle, runtime] : [bundle]) {
      const start = await this.#startOf(sha256);
      try {
        decodeHead(start, keys);
      } catch (cause) {
        throw new PlatenError(
          "update-refused",
          `${manifest.name} ${manifest.version} is signed with a key that key set ${keys.number} does not trust, so no printer would take it: remove the bundle, sign it with a release key of that set, and add it again`,
          { cause },
        );
      }
    }
  }

  /** What of a bundle may be its head. */
  async #startOf(sha256: string): Promise<Uint8Array> {
    const start: Uint8Array[] = [];
    let sizeBytes = 0;
    const blob = await this.#blobs.get(sha256);
    if (!blob) throw unknown(`the bytes of bundle ${sha256} are gone: add it again`);
    for await (const chunk of blob.bytes()) {
      start.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes >= headMaxBytes) break;
    }
    return Buffer.concat(start);
  }

  /** The app or the system of a version; a runtime only comes with an app. */
  async #rollable(version: string, board: string): Promise<BundleRecord> {
    const found = (await this.bundles()).filter(
      ({ manifest }) =>
        manifest.kind !== "runtime" && manifest.version === version && (!board || manifest.board === board),
    );
    if (found.length > 1) {
      const boards = found.map(({ manifest }) => manifest.board).join(", ");
      throw refused(`version ${version} is there for ${boards}: say for which board`);
    }
    if (!found[0])
      throw unknown(`there is no version ${version}${board ? ` for ${board}` : ""}: add its bundle`);
    return found[0];
  }

  /** The bundle of the runtime that an app needs, where one was added. */
  async #runtimeOf(manifest: Manifest): Promise<BundleRecord | undefined> {
    if (manifest.kind !== "app") return undefined;
    const { sha256 } = manifest.runtime;
    return (await this.bundles()).find(
      ({ manifest: other }) => other.kind === "runtime" && other.payload.sha256 === sha256,
    );
  }

  /** Throws `update-refused` while a rollout offers it, or an app that is offered needs it. */
  async remove(sha256: string): Promise<void> {
    const record = (await this.#bundles.get(bundleKey(sha256)))?.value;
    if (!record) throw unknown("there is no such bundle");
    for (const rollout of await this.rollouts()) {
      const app = (await this.#bundles.get(bundleKey(rollout.sha256)))?.value.manifest;
      const needed = app?.kind === "app" && app.runtime.sha256 === record.manifest.payload.sha256;
      if (rollout.sha256 === sha256 || needed) {
        throw refused(`version ${rollout.version} is rolled out on ${rollout.channel}: stop that first`);
      }
    }
    await this.#bundles.delete(bundleKey(sha256));
    await this.#blobs.delete(sha256);
  }

  /** What a printer whose app or system is so is to change to; undefined: nothing. */
  async offer(
    printerId: PrinterId,
    kind: "app" | "system",
    status: UpdateStatus,
  ): Promise<Offer | undefined> {
    const rollout = (await this.#rollouts.get(rolloutKey(status.channel, status.board)))?.value;
    if (!rollout || rollout.paused || rollout.version === status.version) return undefined;
    if (!isIncluded(printerId, rollout.version, rollout.percent)) return undefined;
    const bundle = (await this.#bundles.get(bundleKey(rollout.sha256)))?.value;
    if (bundle?.manifest.kind !== kind) return undefined;
    const downgradePermit = Buffer.from(rollout.downgradePermit, "base64");
    // Without a permit the printer would refuse a step back, and say so at every check.
    if (compareVersions(rollout.version, status.version) < 0 && downgradePermit.length === 0)
      return undefined;
    const runtime = await this.#runtimeOf(bundle.manifest);
    return { bundles: runtime ? [runtime, bundle] : [bundle], attempt: rollout.attempt, downgradePermit };
  }

  /** A bundle's bytes, for a printer that was offered it; undefined when there is none of that name. */
  async bytes(sha256: string): Promise<Blob | undefined> {
    return (await this.#bundles.get(bundleKey(sha256))) && this.#blobs.get(sha256);
  }

  /** Puts another key set in force, if the one before vouches for it. Throws `update-invalid`. */
  async setKeySet(bytes: Uint8Array): Promise<KeySet> {
    const next = openKeySet(bytes, await this.#openKeySet());
    const { number } = next;
    await this.#keySets.put(keySetKey(number), { number, bytes: Buffer.from(bytes).toString("base64") });
    return next;
  }

  /** All that were ever in force: each vouches for the next one. */
  async #allKeySets(): Promise<{ bytes: Uint8Array; number: number }[]> {
    const sets: { bytes: Uint8Array; number: number }[] = [];
    for await (const { value } of this.#keySets.all("key-set")) {
      sets.push({ number: value.number, bytes: Buffer.from(value.bytes, "base64") });
    }
    return sets.sort((a, b) => a.number - b.number);
  }

  /** The key set in force as signed, and its number; undefined when none was set. */
  async keySet(): Promise<{ bytes: Uint8Array; number: number } | undefined> {
    return (await this.#allKeySets()).at(-1);
  }

  /** The key set that a printer with that number takes next, as signed: those between it and the last one may vouch for each other only in turn. */
  async keySetAfter(number: number): Promise<Uint8Array | undefined> {
    return (await this.#allKeySets()).find((set) => set.number > number)?.bytes;
  }

  async #openKeySet(): Promise<KeySet | undefined> {
    const present = await this.keySet();
    return present && openKeySet(present.bytes);
  }
}

const broken = (): PlatenError => new PlatenError("update-invalid", "the bundle is damaged or cut short");

/**
 * The bundles that operators add and roll out, and what a printer is offered of them. A bundle's bytes lie in the blob store
 * `updates` under the SHA-256 of the file; what it is, the rollouts and the key set lie in the bucket of the same name. Nothing
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

const keySetSchema = z.object({ bytes: z.string() });

export interface RolloutChange {
  readonly version: string;
  readonly channel: string;
  /** May be empty when only one board has the version. */
  readonly board: string;
  readonly percent: number;
  readonly state: "running" | "paused" | "stopped";
  readonly retry: boolean;
  readonly downgradePermit: Uint8Array;
}

export interface Offer {
  /** Runtime first where the app needs one. */
  readonly bundles: readonly BundleRecord[];
  readonly attempt: number;
  readonly downgradePermit: Uint8Array;
}

/** The largest bundle: an app with its runtime is a sixth of it. */
const bundleMaxBytes = 256 * 1024 * 1024;
/** No upload lasts so long, milliseconds. */
const leftoverMs = 24 * 60 * 60 * 1000;
const keySetKey = "key-set";
/** Channels and boards have dots and more in their names, keys do not. */
const rolloutKey = (channel: string, board: string): string =>
  `rollout.${createHash("sha256").update(`${channel}\0${board}`).digest("hex")}`;
const bundleKey = (sha256: string): string => `bundle.${sha256}`;

const unknown = (what: string): PlatenError => new PlatenError("update-unknown", what);
const refused = (what: string): PlatenError => new PlatenError("update-refused", what);

export class Updates {
  readonly #bundles: Records<BundleRecord>;
  readonly #rollouts: Records<RolloutRecord>;
  readonly #keySets: Records<z.infer<typeof keySetSchema>>;
  readonly #blobs: BlobStore;

  readonly #now: () => number;

  private constructor(bucket: Bucket, blobs: BlobStore, now: () => number) {
    this.#bundles = new Records(bucket, bundleSchema);
    this.#rollouts = new Records(bucket, rolloutSchema);
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

  /** Begins, changes or ends a rollout. Throws `update-unknown`, `update-refused`. */
  async setRollout(change: RolloutChange): Promise<RolloutRecord> {
    const { version, channel, percent, state, retry, downgradePermit } = change;
    const { sha256, manifest } = await this.#app(version, change.board);
    const { board } = manifest;
    if (!manifest.channels.includes(channel)) {
      throw refused(`${version} may be offered on ${manifest.channels.join(", ")}, and not on ${channel}`);
    }
    const key = rolloutKey(channel, board);
    const before = (await this.#rollouts.get(key))?.value;
    const isSame = before?.sha256 === sha256;
    const permit = Buffer.from(downgradePermit).toString("base64");
    const record: RolloutRecord = {
      channel,
      board,
      sha256,
      version,
      percent,
      paused: state === "paused",
      attempt: (isSame ? before.attempt : 1) + (retry ? 1 : 0),
      downgradePermit: permit || (isSame ? before.downgradePermit : ""),
    };
    if (state === "stopped") await this.#rollouts.delete(key);
    else await this.#rollouts.put(key, record);
    return record;
  }

  async #app(version: string, board: string): Promise<BundleRecord> {
    const found = (await this.bundles()).filter(
      ({ manifest }) =>
        manifest.kind === "app" && manifest.version === version && (!board || manifest.board === board),
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

  /** What a printer whose software is so is to change to; undefined: nothing. */
  async offer(printerId: PrinterId, status: UpdateStatus): Promise<Offer | undefined> {
    const rollout = (await this.#rollouts.get(rolloutKey(status.channel, status.board)))?.value;
    if (!rollout || rollout.paused || rollout.version === status.version) return undefined;
    if (!isIncluded(printerId, rollout.version, rollout.percent)) return undefined;
    const app = (await this.#bundles.get(bundleKey(rollout.sha256)))?.value;
    if (!app) return undefined;
    const downgradePermit = Buffer.from(rollout.downgradePermit, "base64");
    // Without a permit the printer would refuse a step back, and say so at every check.
    if (compareVersions(rollout.version, status.version) < 0 && downgradePermit.length === 0)
      return undefined;
    const runtime = await this.#runtimeOf(app.manifest);
    return { bundles: runtime ? [runtime, app] : [app], attempt: rollout.attempt, downgradePermit };
  }

  /** A bundle's bytes, for a printer that was offered it; undefined when there is none of that name. */
  async bytes(sha256: string): Promise<Blob | undefined> {
    return (await this.#bundles.get(bundleKey(sha256))) && this.#blobs.get(sha256);
  }

  /** Puts another key set in force, if the one before vouches for it. Throws `update-invalid`. */
  async setKeySet(bytes: Uint8Array): Promise<KeySet> {
    const next = openKeySet(bytes, await this.#openKeySet());
    await this.#keySets.put(keySetKey, { bytes: Buffer.from(bytes).toString("base64") });
    return next;
  }

  /** The key set in force as signed, and its number; undefined when none was set. */
  async keySet(): Promise<{ bytes: Uint8Array; number: number } | undefined> {
    const stored = (await this.#keySets.get(keySetKey))?.value;
    if (!stored) return undefined;
    const bytes = Buffer.from(stored.bytes, "base64");
    return { bytes, number: openKeySet(bytes).number };
  }

  async #openKeySet(): Promise<KeySet | undefined> {
    const present = await this.keySet();
    return present && openKeySet(present.bytes);
  }
}

const broken = (): PlatenError => new PlatenError("update-invalid", "the bundle is damaged or cut short");

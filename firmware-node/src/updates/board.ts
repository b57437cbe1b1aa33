/**
 * A board's folder of versions, on its data partition:
 *
 *     slots/a, slots/b        two versions of the app, unpacked
 *     slots/a.json, b.json    their manifests: a slot without one is not whole
 *     current -> slots/a      what runs
 *     trial -> slots/b        what is tried at the next start, once
 *     runtimes/SHA256         Node, by the hash of its bundle's payload; SHA256.json its manifest
 *     downloads/              bundles on their way
 *     keys                    the key set (keys.ts)
 *     state.json              what happened (state.ts)
 *
 * Whenever the power goes, what `current` says is whole and is started next: a slot is emptied only while it is not current, and
 * links and manifests take their places by renames, each on the disk before the next step begins.
 */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { PlatenError } from "@platen/proto";
import {
  type AppManifest,
  type BundleHead,
  compareVersions,
  type DowngradePermit,
  encodeManifest,
  type KeySet,
  type Manifest,
  openKeySet,
  parseManifest,
} from "@platen/proto/bundle";
import { unpackBundle, verifyBundle } from "./bundle.ts";
import {
  type Disk,
  disk as realDisk,
  exists,
  readFileIfAny,
  readLinkIfAny,
  replaceFile,
  replaceLink,
  requireSpace,
} from "./disk.ts";
import { type Moment, present } from "./moment.ts";
import {
  badEndsOf,
  givenUp,
  judged,
  readState,
  type SlotName,
  type State,
  type Verdict,
  withFailure,
  writeState,
} from "./state.ts";

export interface Slot {
  readonly name: SlotName;
  readonly folder: string;
  readonly manifest: AppManifest;
}

/** What is started. */
export interface Start {
  readonly slot: Slot;
  readonly trial: boolean;
  /** How often in a row the version has ended badly before, each time soon after its start. */
  readonly badEnds: number;
}

export interface InstallOptions {
  /** What this board is; a bundle for another is refused. */
  readonly board: string;
  /** Where the board takes its updates; undefined: a person brings the bundle, and knows. */
  readonly channel: string | undefined;
  /** Which earlier version than runs may be installed: any, where a person at the board says so, or the one of a permit. Default none. */
  readonly downgrade?: "any" | DowngradePermit | undefined;
  /** The payload that was offered; a bundle with another is refused. */
  readonly payloadSha256?: string;
  /** Which attempt this is: a version that failed is tried again only at a later one. Default 1. */
  readonly attempt?: number;
  /** Called when the bundle has passed all checks, before anything of it is unpacked; stops the installation by throwing. */
  readonly onVerified?: () => Promise<void>;
  readonly signal?: AbortSignal;
}

const otherThan = (name: SlotName | undefined): SlotName => (name === "a" ? "b" : "a");

/** Space that a trial needs beside the version itself: to be asked for, begun and judged, which takes small files. Bytes. */
const trialBytes = 256 * 1024;

/** Not by the payload alone: two versions may be of the same bytes. */
const isSame = (one: Manifest, other: Manifest): boolean =>
  Buffer.from(encodeManifest(one)).equals(encodeManifest(other));

const refused = (why: string): PlatenError => new PlatenError("update-refused", why);

export class Board {
  readonly root: string;
  readonly #disk: Disk;
  /** What was started last ended in order, but a full disk could not remember that. */
  #isForgiven = false;

  constructor(root: string, disk: Disk = realDisk) {
    this.root = root;
    this.#disk = disk;
  }

  #path(...inner: string[]): string {
    return join(this.root, ...inner);
  }

  /** Makes the folder's own folders, and takes the key set that the image brings unless a later one is there. */
  async prepare(imageKeys?: Uint8Array): Promise<void> {
    for (const folder of ["", "slots", "runtimes", "downloads"]) {
      if (!(await exists(this.#path(folder)))) await this.#disk.makeFolder(this.#path(folder));
    }
    if (imageKeys && !(await exists(this.#path("keys")))) {
      openKeySet(imageKeys);
      await replaceFile(this.#disk, this.#path("keys"), imageKeys);
    }
    await this.#disk.syncFolder(this.root);
  }

  /** Throws `configuration` when the board has no key set, or a damaged one. */
  async keys(): Promise<KeySet> {
    const bytes = await readFileIfAny(this.#path("keys"));
    if (!bytes) throw new PlatenError("configuration", "the board has no keys to check updates with");
    return openKeySet(bytes);
  }

  /** Trusts another key set from now on, if the present one vouches for it. Throws `update-invalid`. */
  async rotateKeys(bytes: Uint8Array): Promise<KeySet> {
    const present = await this.keys();
    const next = openKeySet(bytes, present);
    if (next !== present) await replaceFile(this.#disk, this.#path("keys"), bytes);
    return next;
  }

  state(): Promise<State> {
    return readState(this.#path("state.json"));
  }

  async #slot(name: SlotName): Promise<Slot | undefined> {
    const bytes = await readFileIfAny(this.#path("slots", `${name}.json`));
    const folder = this.#path("slots", name);
    try {
      const manifest = bytes && parseManifest(bytes);
      return manifest?.kind === "app" && (await exists(join(folder, manifest.main)))
        ? { name, folder, manifest }
        : undefined;
    } catch {
      // Written by nobody's doing: as good as empty.
      return undefined;
    }
  }

  /** The slot that a link names, if it is whole. */
  async #linked(link: "current" | "trial"): Promise<Slot | undefined> {
    const target = await readLinkIfAny(this.#path(link));
    return target === "slots/a" || target === "slots/b"
      ? this.#slot(basename(target) as SlotName)
      : undefined;
  }

  current(): Promise<Slot | undefined> {
    return this.#linked("current");
  }

  /** The slot whose trial is under way. */
  async trying(): Promise<Slot | undefined> {
    const { trying } = await this.state();
    return trying && this.#slot(trying.slot);
  }

  /** Why the bundle may not be installed here; resolves when it may. Throws `update-refused`. */
  async #admit({ manifest }: BundleHead, options: InstallOptions): Promise<void> {
    const { board, channel, downgrade, payloadSha256, attempt = 1 } = options;
    const { name, version, channels, payload } = manifest;
    const called = `${name} ${version}`;
    if (payloadSha256 !== undefined && payload.sha256 !== payloadSha256) {
      throw refused(`${called} is not what was offered`);
    }
    if (manifest.board !== board) throw refused(`${called} is for ${manifest.board}, and this is ${board}`);
    if (channel !== undefined && !channels.includes(channel)) {
      throw refused(`${called} is not for the channel ${channel}`);
    }
    if (manifest.kind === "runtime") return;
    if (manifest.kind === "system") throw refused(`${called} is a system, and no app`);
    const running = (await this.current())?.manifest;
    const order = running ? compareVersions(version, running.version) : 1;
    if (running && running.name !== name) throw refused(`${called} is another program than ${running.name}`);
    if (order === 0) throw refused(`${called} is what runs already`);
    const mayGoBack =
      downgrade === "any" || (downgrade?.from === running?.version && downgrade?.to === payload.sha256);
    if (order < 0 && !mayGoBack) {
      throw refused(`${called} is older than ${running!.version}, and nobody allowed a step back`);
    }
    const { failed } = await this.state();
    const failure = failed[payload.sha256];
    if (failure && failure.attempt >= attempt)
      throw refused(`${called} failed here before: ${failure.reason}`);
  }

  /**
   * Checks a bundle and unpacks it where nothing runs: an app into the slot that is not current, a runtime beside the others.
   * Nothing is started by this. Throws `update-invalid`, `update-refused`, `disk-full`, and leaves what runs as it is.
   */
  async install(file: string, options: InstallOptions): Promise<Manifest> {
    const bundle = await verifyBundle(file, await this.keys(), options.signal);
    await this.#admit(bundle, options);
    await options.onVerified?.();
    const { manifest } = bundle;
    if (manifest.kind === "runtime") {
      if (await this.runtime(manifest.payload.sha256)) return manifest;
      await this.#unpack(file, bundle, "runtimes", manifest.payload.sha256, options.signal);
      return manifest;
    }
    const other = otherThan((await this.current())?.name);
    const there = await this.#slot(other);
    if (there && isSame(there.manifest, manifest)) return manifest;
    await this.#withdrawTrial();
    await this.#unpack(file, bundle, "slots", other, options.signal);
    return manifest;
  }

  async #unpack(
    file: string,
    bundle: BundleHead,
    place: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const folder = this.#path(place, name);
    await this.#clear(place, name);
    try {
      await unpackBundle(file, bundle, folder, { disk: this.#disk, ...(signal && { signal }) });
      await this.#disk.syncFolder(this.#path(place));
      await replaceFile(this.#disk, `${folder}.json`, encodeManifest(bundle.manifest));
    } catch (error) {
      // What came of it only takes space; the reason matters more than a second failure.
      await this.#clear(place, name).catch(() => {});
      throw error;
    }
  }

  /** The manifest goes first, and is gone for good: without it nothing that is left passes for whole. */
  async #clear(place: string, name: string): Promise<void> {
    const folder = this.#path(place, name);
    await this.#disk.removeTree(`${folder}.json`);
    await this.#disk.syncFolder(this.#path(place));
    await this.#disk.removeTree(folder);
  }

  async #withdrawTrial(): Promise<void> {
    if (!(await exists(this.#path("trial")))) return;
    await this.#disk.unlink(this.#path("trial"));
    await this.#disk.syncFolder(this.root);
  }

  /** What Node of the runtimes with that hash is; undefined when it is not there. */
  async runtime(sha256: string): Promise<string | undefined> {
    const bytes = await readFileIfAny(this.#path("runtimes", `${sha256}.json`));
    return bytes && this.#path("runtimes", sha256, parseManifest(bytes).main);
  }

  /** Removes the runtimes that neither a slot nor an offer needs; `offered` are payloads. */
  async sweepRuntimes(offered: readonly string[] = []): Promise<void> {
    const current = await this.current();
    // Nobody knows then which one runs.
    if (!current) return;
    const other = await this.#slot(otherThan(current.name));
    const { sha256 } = current.manifest.runtime;
    const needed = new Set([...offered, sha256, other?.manifest.runtime.sha256]);
    for (const name of await readdir(this.#path("runtimes"))) {
      const payload = name.replace(/\.json(\.part)?$/, "");
      if (needed.has(payload)) continue;
      await this.#clear("runtimes", payload);
      // A manifest that a power cut kept from its place has a name of its own.
      await this.#disk.removeTree(this.#path("runtimes", name));
    }
  }

  /**
   * The app with that payload is tried at the next start, once. Throws `update-refused` when it is not what was installed last,
   * and `disk-full` where the trial might be asked for but not begun, over and over.
   */
  async askTrial(payloadSha256: string, attempt = 1): Promise<void> {
    const other = otherThan((await this.current())?.name);
    const installed = await this.#slot(other);
    if (installed?.manifest.payload.sha256 !== payloadSha256) throw refused("it is not installed");
    await requireSpace(this.#disk, this.root, trialBytes);
    const asked = { version: installed.manifest.version, sha256: payloadSha256, attempt };
    await this.#remember({ ...(await this.state()), asked });
    await replaceLink(this.#disk, this.#path("trial"), `slots/${other}`);
  }

  /** The first version of a new board: nothing runs that a trial could fall back to. */
  async adopt(): Promise<void> {
    if (await this.current()) throw refused("a version runs already: it is replaced by a trial");
    if (!(await this.#slot("a"))) throw refused("there is no version to start with");
    await replaceLink(this.#disk, this.#path("current"), "slots/a");
  }

  #remember(state: State): Promise<void> {
    return writeState(this.#disk, this.#path("state.json"), state);
  }

  /** Resolves to whether the disk took it: one that is full, read-only or broken keeps nothing from being started. */
  async #isDone(writing: Promise<void>): Promise<boolean> {
    try {
      await writing;
      return true;
    } catch (error) {
      if (error instanceof PlatenError) return false;
      throw error;
    }
  }

  /**
   * What to start now. A trial is taken off the board before it begins: whatever becomes of it, the next start is of `current`
   * again unless `judge` says otherwise. Throws `configuration` when the board has no version that is whole.
   */
  async next(now?: Moment): Promise<Start> {
    const moment = now ?? (await present());
    if (await exists(this.#path("trial"))) {
      const slot = await this.#beginTrial(moment);
      if (slot) return { slot, trial: true, badEnds: 0 };
    }
    const current = await this.current();
    const known = await this.state();
    const isKept = current !== undefined && current.name === known.trying?.slot;
    const cut = "the board lost its power or was restarted during the trial";
    const state = await this.#judged(known, isKept ? "good" : "interrupted", isKept ? "" : cut);
    const slot = current ?? (await this.#fallBack());
    const { sha256 } = slot.manifest.payload;
    const badEnds = this.#isForgiven ? 0 : badEndsOf(state, sha256, moment);
    this.#isForgiven = false;
    await this.#isDone(
      this.#remember({ ...state, starts: state.starts + 1, running: { ...moment, sha256, badEnds } }),
    );
    return { slot, trial: false, badEnds };
  }

  /** Resolves to the version to try; undefined when it is not to be: one that nobody would remember could be tried for ever. */
  async #beginTrial(moment: Moment): Promise<Slot | undefined> {
    const trial = await this.#linked("trial");
    const { asked, ...rest } = await this.state();
    let state: State = rest;
    if (trial) {
      const { name: slot, manifest } = trial;
      const { sha256 } = manifest.payload;
      const trying = { slot, version: manifest.version, sha256, attempt: asked?.attempt ?? 1 };
      state = { ...rest, starts: rest.starts + 1, trying, running: { ...moment, sha256, badEnds: 0 } };
    } else if (asked) {
      // Whoever asked would ask again and again: it has seen it whole.
      state = withFailure(rest, asked, `the launcher of this board cannot read version ${asked.version}`);
    }
    const isNoted = await this.#isDone(this.#remember(state));
    const isOff = await this.#isDone(this.#withdrawTrial());
    return isNoted && isOff ? trial : undefined;
  }

  /** Where what `current` names is not whole, the other slot is current from now on: no update empties it, or goes behind it. */
  async #fallBack(): Promise<Slot> {
    const slot = (await this.#slot("a")) ?? (await this.#slot("b"));
    if (!slot) throw new PlatenError("configuration", `${this.root} holds no version to start`);
    await this.#isDone(replaceLink(this.#disk, this.#path("current"), `slots/${slot.name}`));
    return slot;
  }

  /** What was started last ends because it was told to, or asked for it: nothing to hold against it. */
  async endedInOrder(): Promise<void> {
    const { running, ...rest } = await this.state();
    if (running) this.#isForgiven = !(await this.#isDone(this.#remember(rest)));
  }

  async #judged(state: State, outcome: Verdict["outcome"], reason: string): Promise<State> {
    const before = state.trying && (await this.#slot(otherThan(state.trying.slot)));
    return judged(state, outcome, reason, before?.manifest.payload.sha256);
  }

  /** Ends the trial under way: a good version becomes current, any other is not started again. */
  async judge(outcome: Verdict["outcome"], reason: string): Promise<void> {
    const state = await this.state();
    if (!state.trying) return;
    if (outcome === "good") {
      await replaceLink(this.#disk, this.#path("current"), `slots/${state.trying.slot}`);
    }
    await this.#isDone(this.#remember(await this.#judged(state, outcome, reason)));
  }

  /**
   * Gives up the version that runs for the one that it took the place of, if that still lies whole in the other slot. Resolves to
   * what runs from now on; undefined when there is nothing to go back to. The version that was given up has failed, like one on
   * trial; the one before has nothing to go back to, so that two bad versions do not take turns.
   */
  async goBack(reason: string): Promise<Slot | undefined> {
    const [state, current] = [await this.state(), await this.current()];
    const { settled } = state;
    if (!current || settled?.before === undefined) return undefined;
    const before = await this.#slot(otherThan(current.name));
    const isWhatRan = before?.manifest.payload.sha256 === settled.before;
    if (!isWhatRan || current.manifest.payload.sha256 !== settled.sha256) return undefined;
    // First: should the power go now, the version before runs, and only the blame is forgotten.
    if (!(await this.#isDone(replaceLink(this.#disk, this.#path("current"), `slots/${before.name}`)))) {
      return undefined;
    }
    await this.#isDone(this.#remember(givenUp(state, current.manifest.version, reason)));
    return before;
  }
}

/**
 * The board's own service for systems, run as root: at each start it finds out how the last trial ended, and later does what the
 * printer asks for. The printer's program is not trusted: what it names is checked here again, with keys that it cannot reach.
 */
import { constants } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import {
  disk,
  judged,
  missingFile,
  missingSchema,
  readFileIfAny,
  readState,
  replaceFile,
  requestFile,
  requestSchema,
  type SlotName,
  type State,
  statusFile,
  statusSchema,
  type SystemRequest,
  type SystemStatus,
  verifyBundle,
  writeState,
} from "@platen/firmware-node/updates";
import { PlatenError, toPlatenError } from "@platen/proto";
import {
  compareVersions,
  decodeHead,
  type KeySet,
  type Manifest,
  openDowngrade,
  openKeySet,
} from "@platen/proto/bundle";
import { readBootState, writeBootState } from "./boot-state.ts";
import { slotFiles, writeSlot } from "./slot.ts";

export interface SystemOptions {
  /** The whole card, and of each slot the partition of its root. */
  readonly card: string;
  readonly roots: Readonly<Record<SlotName, string>>;
  readonly rootBytes: number;
  /** The boot partition. */
  readonly boot: string;
  /** A folder of the service's own, which outlives starts. */
  readonly home: string;
  /** Where the printer's downloads are. */
  readonly downloads: string;
  /** See system-files.ts. */
  readonly folder: string;
  /** The key set that came with the system. */
  readonly imageKeys: string;
  /** What systems for this board are called. */
  readonly board: string;
  /** What the kernel was started with. */
  readonly commandLine: string;
  /** Names this start of the board. */
  readonly bootId: string;
  /** Lets `work` write to the boot partition, which is read-only else. */
  readonly writable: (work: () => Promise<void>) => Promise<void>;
  /** The system is kept: its time is not counted any more. */
  readonly stopClock: () => Promise<void>;
  readonly reboot: () => Promise<void>;
  readonly log: (line: string) => void;
  readonly signal?: AbortSignal;
}

const otherThan = (slot: SlotName): SlotName => (slot === "a" ? "b" : "a");
const refused = (why: string): PlatenError => new PlatenError("update-refused", why);
/** So many trials that ended without a word, after which the system has failed: one may have been a power cut. */
const wordlessMax = 2;
const requestMaxBytes = 128 * 1024;

type InstallRequest = Extract<SystemRequest, { action: "install" }>;

export class SystemService {
  readonly #options: SystemOptions;
  readonly #stateFile: string;
  readonly #keysFile: string;
  readonly #slot: SlotName;

  constructor(options: SystemOptions) {
    this.#options = options;
    this.#stateFile = join(options.home, "updates.json");
    this.#keysFile = join(options.home, "keys");
    this.#slot = /(^|\s)platen\.slot=b(\s|$)/.test(options.commandLine) ? "b" : "a";
  }

  /** Whether what runs is on trial: it was started so, and has not been kept meanwhile. */
  async #isTrial(): Promise<boolean> {
    if (!/(^|\s)platen\.trial(\s|$)/.test(this.#options.commandLine)) return false;
    return (await readBootState(this.#options.card)).slot !== this.#slot;
  }

  /** What is in a slot; undefined where that is nothing whole. */
  async #manifest(slot: SlotName): Promise<Manifest | undefined> {
    const folder = join(this.#options.boot, slot);
    const head = await readFileIfAny(join(folder, slotFiles.head));
    const kernel = await open(join(folder, slotFiles.kernel)).catch(() => undefined);
    await kernel?.close();
    try {
      return head && kernel && decodeHead(head, undefined).manifest;
    } catch {
      return undefined;
    }
  }

  async #keys(): Promise<KeySet> {
    const bytes = (await readFileIfAny(this.#keysFile)) ?? (await readFileIfAny(this.#options.imageKeys));
    if (!bytes) throw new PlatenError("configuration", "the system has no keys to check updates with");
    return openKeySet(bytes);
  }

  #remember(state: State): Promise<void> {
    return writeState(disk, this.#stateFile, state);
  }

  async #publish(more: Partial<SystemStatus> = {}): Promise<void> {
    const running = await this.#manifest(this.#slot);
    // Nothing to compare a version with.
    if (!running) throw new PlatenError("internal", "nothing says which system runs");
    const { last, failed } = await readState(this.#stateFile);
    const status: SystemStatus = {
      version: running.version,
      board: this.#options.board,
      slot: this.#slot,
      trial: await this.#isTrial(),
      ...(last && { last }),
      failed,
      ...more,
    };
    const bytes = Buffer.from(`${JSON.stringify(statusSchema.parse(status))}\n`);
    await replaceFile(disk, join(this.#options.folder, statusFile), bytes);
  }

  /** At each start: gives the last trial its verdict, or notes that one has begun, and says what runs. */
  async settle(): Promise<void> {
    const { log, bootId } = this.#options;
    await mkdir(this.#options.home, { recursive: true });
    const state = await readState(this.#stateFile);
    const { trying, running } = state;
    if (trying && trying.slot === this.#slot) {
      const { version, sha256 } = trying;
      if (await this.#isTrial()) {
        log(`system ${version} is on trial`);
        await this.#remember({ ...state, running: { sha256, boot: bootId, atS: 0, badEnds: 0 } });
      } else await this.#remember(judged(state, "good", "", undefined));
    } else if (trying) {
      const how =
        running?.sha256 === trying.sha256
          ? "stopped, or the board lost its power, before it had proved itself"
          : "did not start, or the board lost its power";
      const reason = `system ${trying.version} ${how}`;
      log(`${reason}: the one before goes on`);
      const { running: _, ...rest } = state;
      await this.#remember(judged(rest, "interrupted", reason, undefined, wordlessMax));
    }
    await this.#publish();
  }

  /** Does what the printer asks for, once. What it may not have, it is told. */
  async serve(): Promise<void> {
    const file = join(this.#options.folder, requestFile);
    const request = await readRequest(file);
    await disk.unlink(file);
    if (!request) return this.#options.log("a request is none");
    let error: { code: string; message: string } | undefined;
    let next = async () => {};
    try {
      next = (await this.#do(request)) ?? next;
    } catch (cause) {
      const { code, message } = toPlatenError(cause);
      this.#options.log(`${request.action}: ${message}`);
      error = { code, message };
    }
    await this.#publish({ answer: { id: request.id, ...(error && { error }) } });
    await next();
  }

  /** Resolves to what is to be done once the printer has its answer. */
  async #do(request: SystemRequest): Promise<(() => Promise<void>) | undefined> {
    switch (request.action) {
      case "install":
        await this.#install(request);
        return undefined;
      case "try":
        await this.#arm(request.payloadSha256, request.attempt);
        return this.#options.reboot;
      case "keep":
        await this.#keep();
        return this.#options.stopClock;
      case "trust": {
        const bytes = Buffer.from(request.keySet, "base64");
        const present = await this.#keys();
        if (openKeySet(bytes, present) !== present) await replaceFile(disk, this.#keysFile, bytes);
        return undefined;
      }
    }
  }

  async #install(request: InstallRequest): Promise<void> {
    const { boot, roots, rootBytes, downloads, writable, log, signal } = this.#options;
    if (await this.#isTrial()) throw refused("the system that runs has not proved itself yet");
    const file = join(downloads, `${request.sha256}.bundle`);
    const head = await verifyBundle(file, await this.#keys(), signal);
    await this.#admit(head.manifest, request);
    const other = otherThan(this.#slot);
    const there = await this.#manifest(other);
    // The same files may be there under another version.
    const { version } = head.manifest;
    if (there?.payload.sha256 === request.payloadSha256 && there.version === version) return;
    await this.#publish({ installing: true });
    const place = { root: roots[other], rootBytes, boot: join(boot, other) };
    await writable(() => writeSlot(place, file, head, { signal }));
    log(`system ${version} is in slot ${other}`);
  }

  /** Throws `update-refused` unless the system may come here. */
  async #admit(manifest: Manifest, request: InstallRequest): Promise<void> {
    const { kind, name, version, channels, payload } = manifest;
    const called = `${name} ${version}`;
    if (payload.sha256 !== request.payloadSha256) throw refused(`${called} is not what was offered`);
    if (kind !== "system") throw refused(`${called} is no system`);
    if (manifest.board !== this.#options.board) {
      throw refused(`${called} is for ${manifest.board}, and this is ${this.#options.board}`);
    }
    if (!channels.includes(request.channel)) {
      throw refused(`${called} is not for the channel ${request.channel}`);
    }
    const running = await this.#manifest(this.#slot);
    if (!running) throw refused("nothing says which system runs: none can be told to be newer");
    if (running.name !== name) throw refused(`${called} is another system than ${running.name}`);
    const order = compareVersions(version, running.version);
    if (order === 0) throw refused(`${called} is what runs already`);
    if (order < 0) {
      const permit =
        request.permit === ""
          ? undefined
          : openDowngrade(Buffer.from(request.permit, "base64"), await this.#keys());
      if (permit?.from !== running.version || permit.to !== payload.sha256) {
        throw refused(`${called} is older than ${running.version}, and nobody allowed a step back`);
      }
    }
    const failure = (await readState(this.#stateFile)).failed[payload.sha256];
    if (failure && failure.attempt >= request.attempt) {
      throw refused(`${called} failed here before: ${failure.reason}`);
    }
  }

  /** From here on the next start is of the other slot, once. */
  async #arm(payloadSha256: string, attempt: number): Promise<void> {
    const { card, log } = this.#options;
    if (await this.#isTrial()) throw refused("the system that runs has not proved itself yet");
    const slot = otherThan(this.#slot);
    const manifest = await this.#manifest(slot);
    if (manifest?.payload.sha256 !== payloadSha256) throw refused("it is not installed");
    const { version } = manifest;
    const { running: _, ...state } = await readState(this.#stateFile);
    await this.#remember({ ...state, trying: { slot, version, sha256: payloadSha256, attempt } });
    await writeBootState(card, { slot: this.#slot, trial: slot });
    log(`the next start is of system ${version}, once`);
  }

  async #keep(): Promise<void> {
    const { card, log } = this.#options;
    if (!(await this.#isTrial())) return;
    const state = await readState(this.#stateFile);
    await writeBootState(card, { slot: this.#slot, trial: undefined });
    const { running: _, ...rest } = state;
    await this.#remember(judged(rest, "good", "", undefined));
    log(`system ${state.trying?.version ?? ""} has proved itself, and stays`);
  }

  /** The time of the trial is over: what has not been kept by now goes. */
  async giveUp(): Promise<void> {
    if (!(await this.#isTrial())) return;
    const { folder, log, reboot } = this.#options;
    const state = await readState(this.#stateFile);
    const said = await readSmall(join(folder, missingFile)).catch(() => "");
    const missing = missingSchema.safeParse(parsed(said)).data;
    const what = missing && missing.length > 0 ? `: no ${missing.join(", no ")}` : "";
    const reason = `system ${state.trying?.version ?? ""} was not healthy in time${what}`;
    log(`${reason}: back to the one before`);
    // It did what it could where only the backend or the engine was away.
    const isUnlucky = missing !== undefined && missing.length > 0 && !missing.includes("pattern");
    const { running: _, ...rest } = state;
    await this.#remember(judged(rest, isUnlucky ? "interrupted" : "failed", reason, undefined)).catch(
      (error: Error) => log(error.message),
    );
    await reboot();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The printer may have put anything there: no link is followed, and nothing that is no small file is read. */
async function readSmall(path: string): Promise<string> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const info = await file.stat();
  if (!info.isFile() || info.size > requestMaxBytes) return "";
  return await file.readFile("utf8");
}

const readRequest = async (path: string): Promise<SystemRequest | undefined> =>
  requestSchema.safeParse(parsed(await readSmall(path).catch(() => ""))).data;

/** The printer's end of what it and the board's own service for systems say to each other: see system-files.ts. */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isErrorCode, PlatenError } from "@platen/proto";
import { sleep } from "../app/backoff.ts";
import { disk, readFileIfAny, replaceFile } from "./disk.ts";
import type { Check } from "./supervised.ts";
import {
  missingFile,
  requestFile,
  type SystemRequest,
  type SystemStatus,
  statusFile,
  statusSchema,
  systemFolder,
} from "./system-files.ts";

/** No card is so slow, milliseconds. */
const answerMaxMs = 30 * 60_000;

/** A request without its id. */
type Asked = SystemRequest extends infer T ? (T extends unknown ? Omit<T, "id"> : never) : never;

export class SystemLink {
  readonly #folder: string;
  readonly #lookMs: number;

  /** It looks for an answer every `lookMs`. */
  constructor(folder: string = systemFolder, lookMs = 250) {
    this.#folder = folder;
    this.#lookMs = lookMs;
  }

  /** Undefined where the board has no such service, or it says nothing that can be read. */
  async status(): Promise<SystemStatus | undefined> {
    const bytes = await readFileIfAny(join(this.#folder, statusFile)).catch(() => undefined);
    try {
      return bytes && statusSchema.parse(JSON.parse(bytes.toString("utf8")));
    } catch {
      return undefined;
    }
  }

  /**
   * Asks for something, and resolves when it is done. `onInstalling` is called once the bundle has passed all checks. Throws
   * what the service refuses with, and `deadline-exceeded`; when `signal` aborts, nobody waits for what goes on.
   */
  async ask(
    asked: Asked,
    signal: AbortSignal = new AbortController().signal,
    onInstalling: () => Promise<void> = async () => {},
  ): Promise<void> {
    const id = randomUUID();
    const file = join(this.#folder, requestFile);
    await replaceFile(disk, file, Buffer.from(JSON.stringify({ ...asked, id })), 0o600);
    const until = AbortSignal.any([signal, AbortSignal.timeout(answerMaxMs)]);
    try {
      for (let isSaid = false; ; ) {
        const { answer, installing } = (await this.status()) ?? {};
        if (answer?.id === id) {
          if (!answer.error) return;
          const { code, message } = answer.error;
          throw new PlatenError(isErrorCode(code) ? code : "internal", message);
        }
        if (installing && !isSaid) {
          isSaid = true;
          await onInstalling();
        }
        await sleep(this.#lookMs, until);
      }
    } finally {
      // One that has not been taken up yet is not to be.
      await rm(file, { force: true });
    }
  }

  /** Notes which checks the system on trial has not passed yet, for when its time is over. */
  async report(missing: readonly Check[]): Promise<void> {
    await replaceFile(disk, join(this.#folder, missingFile), Buffer.from(JSON.stringify(missing)), 0o600);
  }
}

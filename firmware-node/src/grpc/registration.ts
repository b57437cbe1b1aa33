/** Makes the printer known to the backend, in both modes, by a key that it made and keeps. */
import { randomBytes } from "node:crypto";
import {
  hasCode,
  type PlatenError,
  type PrinterMode,
  type PrinterQueueService,
  type ServiceClient,
  toPlatenError,
} from "@platen/proto";
import { backoffMs, sleep } from "../app/backoff.ts";
import type { Printer } from "../app/printer.ts";
import type { KeyStore } from "../ports/key-store.ts";

export type BackendEvent =
  | { readonly kind: "registered" }
  /** Tried again by itself. */
  | { readonly kind: "backend-unreachable"; readonly message: string };

export interface RegistrationOptions {
  readonly printer: Printer;
  /** Over TLS, or on the loopback, or where plaintext was asked for. */
  readonly queue: ServiceClient<typeof PrinterQueueService>;
  readonly keys: KeyStore;
  readonly mode: PrinterMode;
  /** Push mode: where the printer's server is reached; else empty. */
  readonly address: string;
  readonly enrolmentKey: string;
  readonly onEvent: (event: BackendEvent) => void;
}

/** Longest wait for an answer to anything but a poll, milliseconds. */
export const callTimeoutMs = 15_000;

/** The printer's key; the first time it is made, and safe before the backend hears of it: then no lost answer locks it out. */
async function ownKey(keys: KeyStore): Promise<string> {
  const kept = await keys.load();
  if (kept) return kept;
  const made = randomBytes(32).toString("base64url");
  await keys.save(made);
  return made;
}

/** What another attempt may get over without anybody's doing. */
const isPassing = (error: unknown): boolean => hasCode(error, "unavailable", "deadline-exceeded", "conflict");

export class Registration {
  readonly #options: RegistrationOptions;
  #printerKey: string | undefined;
  #everRegistered = false;
  #reachable = true;

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  get printerKey(): string {
    return this.#printerKey ?? "";
  }

  /**
   * Registers, and tries again until the backend takes it. Resolves to how long a poll may wait, milliseconds. Throws the
   * backend's refusal as long as it has never taken this printer: somebody has to see to that. Later refusals, of a backend
   * that was set up anew, are tried again too.
   */
  async register(signal: AbortSignal): Promise<number> {
    const { printer, queue, keys, mode, address, enrolmentKey, onEvent } = this.#options;
    this.#printerKey ??= await ownKey(keys);
    for (let retry = 1; ; retry++) {
      const { printerId, capabilities } = printer;
      const request = { printerId, capabilities, mode, address, enrolmentKey, status: printer.status() };
      try {
        const answer = await queue.registerPrinter(
          { ...request, printerKey: this.#printerKey },
          { signal, timeoutMs: callTimeoutMs },
        );
        // A backend of an earlier version makes keys itself.
        if (answer.printerKey) {
          await keys.save(answer.printerKey);
          this.#printerKey = answer.printerKey;
        }
        if (!this.#everRegistered || !this.#reachable) onEvent({ kind: "registered" });
        this.#everRegistered = true;
        this.#reachable = true;
        return answer.pollWaitMaxMs;
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error) && !this.#everRegistered) throw error;
        this.lost(error);
        await sleep(backoffMs(retry), signal);
      }
    }
  }

  /** The backend does not answer; told once until it does again. */
  lost(error: unknown): void {
    if (!this.#reachable) return;
    this.#reachable = false;
    this.#options.onEvent({ kind: "backend-unreachable", message: toPlatenError(error).message });
  }

  /** The backend answers. */
  found(): void {
    if (this.#reachable) return;
    this.#reachable = true;
    this.#options.onEvent({ kind: "registered" });
  }

  /**
   * Push mode: registers when the printer's capabilities change, and now and then, so that a backend that lost its memory finds
   * the printer again. Rejects on abort.
   */
  async keep(intervalMs: number, signal: AbortSignal): Promise<never> {
    for (;;) {
      const { revised } = this.#options.printer;
      await this.register(signal);
      await sleep(intervalMs, AbortSignal.any([signal, revised])).catch(() => signal.throwIfAborted());
    }
  }
}

/** Whether the backend has forgotten the printer, or its key: it has to register again. */
export const isForgotten = (error: unknown): error is PlatenError =>
  hasCode(error, "unauthenticated", "printer-unknown");

/** The printers that registered: what they can do, how they are reached, when they were last heard of. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  hasCode,
  JobState,
  type PrinterCapabilities,
  PrinterMode,
  PrinterState,
  PrinterStatusSchema,
  type PrintStatus,
  type PrinterStatus,
  PlatenError,
  pollKeyOfHash,
  type RegisteredPrinter,
  RegisteredPrinterSchema,
  supplyReasons,
  updateKeyOfHash,
  type UpdateStatus,
} from "@platen/proto";
import { z } from "zod";
import { isEndState } from "../domain/endings.ts";
import type { PrinterId } from "../domain/ids.ts";
import type { KeyValueStore } from "../ports/key-value.ts";
import type { Jobs } from "./jobs.ts";
import { Records } from "./records.ts";

const recordSchema = z.object({
  /** SHA-256 of the printer's key, hexadecimal. */
  keyHash: z.string(),
  /** RegisteredPrinter as proto3 JSON. */
  printer: z.json(),
});
type PrinterRecord = z.infer<typeof recordSchema>;

export interface Registration {
  readonly printerId: PrinterId;
  readonly capabilities: PrinterCapabilities;
  readonly mode: PrinterMode;
  /** `host:port` in push mode, else empty. */
  readonly address: string;
  readonly enrolmentKey: string;
  /** The key that the printer made; empty from one of an earlier version at its first registration. */
  readonly printerKey: string;
  readonly status: PrinterStatus | undefined;
  /** Whether the call came from this machine. */
  readonly loopback: boolean;
}

/** What a printer has said of its software. */
const softwareOf = ({ update, system }: RegisteredPrinter) => ({
  ...(update && { update }),
  ...(system && { system }),
});

/** A status that has not changed is written again only so often. */
const presenceIntervalMs = 10_000;

const hashOf = (key: string): Buffer => createHash("sha256").update(key).digest();
/** Whether two keys are the same; how long it takes says nothing of where they differ. */
export const sameKey = (a: string, b: string): boolean => timingSafeEqual(hashOf(a), hashOf(b));

const unknown = (printerId: PrinterId): PlatenError =>
  new PlatenError("printer-unknown", `no printer named ${printerId} has registered`);

const encode = (printer: RegisteredPrinter): JsonValue => toJson(RegisteredPrinterSchema, printer);
const decode = (record: PrinterRecord): RegisteredPrinter =>
  fromJson(RegisteredPrinterSchema, record.printer as JsonValue, { ignoreUnknownFields: true });

export class Printers {
  readonly #records: Records<PrinterRecord>;
  readonly #enrolmentKey: string | undefined;
  readonly #now: () => number;
  private constructor(records: Records<PrinterRecord>, enrolmentKey: string | undefined, now: () => number) {
    this.#records = records;
    this.#enrolmentKey = enrolmentKey;
    this.#now = now;
  }

  static async open(
    keyValue: KeyValueStore,
    enrolmentKey: string | undefined,
    now: () => number,
  ): Promise<Printers> {
    return new Printers(new Records(await keyValue.bucket("printers"), recordSchema), enrolmentKey, now);
  }

  /**
   * Makes a printer known by the key that it shows, however often it asks: an answer may be lost. Resolves to a key made for a
   * printer that has none of its own, else to "". Throws `printer-taken` for a name that another key has, `unauthenticated`,
   * `invalid-argument`.
   */
  async register(registration: Registration): Promise<string> {
    this.#authorize(registration);
    validate(registration);
    const { printerId, capabilities, mode, address, printerKey, status } = registration;
    const existing = await this.#records.get(printerId);
    if (existing && !hashOf(printerKey).equals(Buffer.from(existing.value.keyHash, "hex"))) {
      throw new PlatenError(
        "printer-taken",
        `another printer is registered as ${printerId}, with another key: give this one another --printer-id, or bring back the state folder (--state-dir) that ${printerId} had, or, if that is gone, let an operator run "platen printers remove ${printerId}"`,
      );
    }
    const key = printerKey || randomBytes(32).toString("base64url");
    const printer = create(RegisteredPrinterSchema, {
      printerId,
      capabilities,
      mode,
      address,
      ...(status && { status }),
      ...(existing && softwareOf(decode(existing.value))),
      seenTime: timestampFromMs(this.#now()),
    });
    const record = { keyHash: hashOf(key).toString("hex"), printer: encode(printer) };
    if (existing) await this.#records.put(printerId, record);
    else {
      try {
        await this.#records.create(printerId, record);
      } catch (error) {
        // Another printer of the same name was faster.
        if (hasCode(error, "conflict")) return this.register(registration);
        throw error;
      }
    }
    return printerKey ? "" : key;
  }

  /** Forgets a printer: its name is free for another key. Throws `printer-unknown`, and `printer-busy` while it has jobs. */
  async remove(printerId: PrinterId, jobs: Jobs): Promise<void> {
    if (!(await this.#records.get(printerId))) throw unknown(printerId);
    for await (const job of jobs.active()) {
      if (job.printerId !== printerId) continue;
      throw new PlatenError(
        "printer-busy",
        `printer ${printerId} has jobs, ${job.jobId} among them: let them end, or cancel them, and remove it then`,
      );
    }
    await this.#records.delete(printerId);
  }

  #authorize({ enrolmentKey, loopback }: Registration): void {
    if (this.#enrolmentKey === undefined && !loopback) {
      throw new PlatenError(
        "unauthenticated",
        "printers on other machines need an enrolment key, and this backend has none set",
      );
    }
    if (this.#enrolmentKey !== undefined && !sameKey(enrolmentKey, this.#enrolmentKey)) {
      throw new PlatenError("unauthenticated", "the enrolment key is wrong");
    }
  }

  /**
   * Checks the header `Bearer PRINTER_KEY`; for a poll, which may go without TLS, the poll key will do too. Throws
   * `printer-unknown` or `unauthenticated`.
   */
  async authenticate(
    printerId: PrinterId,
    authorization: string | undefined,
    purpose: "any" | "poll" = "any",
  ): Promise<void> {
    const record = await this.#records.get(printerId);
    if (!record) throw unknown(printerId);
    const key = /^Bearer (\S+)$/.exec(authorization ?? "")?.[1] ?? "";
    const { keyHash } = record.value;
    if (hashOf(key).equals(Buffer.from(keyHash, "hex"))) return;
    if (purpose === "poll" && sameKey(key, pollKeyOfHash(keyHash))) return;
    throw new PlatenError(
      "unauthenticated",
      `the key of printer ${printerId} is wrong: let it register again`,
    );
  }

  /** The printer was heard of, and said how it is. */
  async seen(printerId: PrinterId, status: PrinterStatus | undefined): Promise<void> {
    await this.#records.change(printerId, (record) => {
      const printer = decode(record);
      const changed = create(RegisteredPrinterSchema, {
        ...printer,
        ...(status && { status }),
        seenTime: timestampFromMs(this.#now()),
      });
      const quiet = this.#now() - (printer.seenTime ? timestampMs(printer.seenTime) : 0) < presenceIntervalMs;
      const same = sameStatus(printer.status, changed.status);
      return quiet && same ? record : { ...record, printer: encode(changed) };
    });
  }

  /** The printer was heard of by way of a print: what it does now follows from how that stands. */
  async heard(printerId: PrinterId, print: PrintStatus): Promise<void> {
    const stopped = print.state === JobState.PROCESSING_STOPPED;
    const idle = isEndState(print.state);
    const before = await this.get(printerId);
    // A printer of an earlier version says nothing of them here.
    const markerSupplies = print.markerSupplies.length
      ? print.markerSupplies
      : (before?.status?.markerSupplies ?? []);
    const stops = stopped ? print.printerStateReasons : [];
    await this.seen(
      printerId,
      create(PrinterStatusSchema, {
        state: stopped ? PrinterState.STOPPED : idle ? PrinterState.IDLE : PrinterState.PROCESSING,
        stateReasons: [...new Set([...stops, ...print.printerWarnings, ...supplyReasons(markerSupplies)])],
        message: stopped ? print.message : "",
        currentJobId: idle ? "" : (print.session?.jobId ?? ""),
        heldJobs: idle ? 0 : 1,
        markerSupplies,
        time: timestampFromMs(this.#now()),
      }),
    );
  }

  /** The printer said how its software is, and the system below where that is kept current. */
  async updated(printerId: PrinterId, update: UpdateStatus, system?: UpdateStatus): Promise<void> {
    await this.#records.change(printerId, (record) => {
      const { system: _, ...printer } = decode(record);
      const changed = create(RegisteredPrinterSchema, {
        ...printer,
        update,
        ...(system && { system }),
        seenTime: timestampFromMs(this.#now()),
      });
      return { ...record, printer: encode(changed) };
    });
  }

  /** Checks the update key that a printer shows for a bundle. Throws `printer-unknown` or `unauthenticated`. */
  async authenticateFetch(printerId: PrinterId, updateKey: string, bundleSha256: string): Promise<void> {
    const record = await this.#records.get(printerId);
    if (!record) throw unknown(printerId);
    if (!sameKey(updateKey, updateKeyOfHash(record.value.keyHash, bundleSha256))) {
      throw new PlatenError("unauthenticated", `the update key of printer ${printerId} is wrong`);
    }
  }

  async get(printerId: PrinterId): Promise<RegisteredPrinter | undefined> {
    const record = await this.#records.get(printerId);
    return record && decode(record.value);
  }

  /** By printer id. */
  async list(): Promise<RegisteredPrinter[]> {
    const printers: RegisteredPrinter[] = [];
    for await (const record of this.#records.all()) printers.push(decode(record.value));
    return printers;
  }
}

/** The same but for the time at which it was so. */
function sameStatus(a: PrinterStatus | undefined, b: PrinterStatus | undefined): boolean {
  const text = (status: PrinterStatus | undefined) =>
    JSON.stringify({ ...status, time: undefined }, (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
  return text(a) === text(b);
}

function validate({ capabilities, mode, address, printerKey }: Registration): void {
  const refuse = (what: string): never => {
    throw new PlatenError("invalid-argument", `the printer's registration is incomplete: ${what}`);
  };
  if (!/^([\w-]{43,128})?$/.test(printerKey))
    refuse("printer_key must be 43 to 128 of A-Z, a-z, 0-9, - and _");
  if (mode !== PrinterMode.PUSH && mode !== PrinterMode.POLL) refuse("mode must be push or poll");
  if (mode === PrinterMode.PUSH && !/:\d+$/.test(address)) refuse("push mode needs an address, host:port");
  if (!capabilities.resolutionsDpi.includes(capabilities.resolutionDefaultDpi)) {
    refuse("resolution_default_dpi must be one of resolutions_dpi");
  }
  if (!capabilities.mediaSupported.includes(capabilities.mediaDefault))
    refuse("media_default must be one of media_supported");
}

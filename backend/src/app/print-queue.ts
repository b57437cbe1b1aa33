/**
 * The queue of polling mode (seed paragraph [0112]): what waits for a printer, and what printers report. Kept in the key-value
 * store, so that a printer may ask any controller. No token lies here: it is issued when the printer fetches its instruction.
 */
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  type JobErrorAction,
  PlatenError,
  type PrintInstruction,
  PrintInstructionSchema,
  type PrintStatus,
  PrintStatusSchema,
} from "@platen/proto";
import { z } from "zod";
import { isEndState } from "../domain/endings.ts";
import type { PrinterId, Session } from "../domain/ids.ts";
import type { Bucket, KeyValueStore } from "../ports/key-value.ts";
import { Records } from "./records.ts";

const printSchema = z.object({
  jobId: z.string(),
  printerId: z.string(),
  identificationId: z.string(),
  metafileUrl: z.string(),
  jobErrorAction: z.number(),
  /** Sheets stacked by attempts before the present one. */
  sheetsBefore: z.number(),
  cancelRequested: z.boolean(),
  /** The printer's last PrintStatus as proto3 JSON. */
  status: z.json().optional(),
});
type Print = z.infer<typeof printSchema>;

const keyOf = ({ printerId, jobId }: Session): string => `${printerId}.${jobId}`;
const sessionOf = ({ jobId, printerId }: Print) => ({ jobId, printerId });
const statusOf = (print: Print): PrintStatus | undefined =>
  print.status === undefined
    ? undefined
    : fromJson(PrintStatusSchema, print.status as JsonValue, { ignoreUnknownFields: true });
const hasEnded = (print: Print): boolean => isEndState(statusOf(print)?.state ?? 0);

export interface Polled {
  readonly ready: readonly { jobId: string; printerId: string }[];
  readonly cancel: readonly { jobId: string; printerId: string }[];
}

export class PrintQueue {
  readonly #bucket: Bucket;
  readonly #prints: Records<Print>;
  private constructor(bucket: Bucket) {
    this.#bucket = bucket;
    this.#prints = new Records(bucket, printSchema);
  }

  static async open(keyValue: KeyValueStore): Promise<PrintQueue> {
    return new PrintQueue(await keyValue.bucket("prints"));
  }

  /** S109: lets the printer find the print. Adding it again changes nothing but where the metafile lies. */
  async add(instruction: PrintInstruction, session: Session): Promise<void> {
    const { identificationId, metafileUrl, jobErrorAction, mediaSheetsCompleted } = instruction;
    const changed = await this.#prints.change(keyOf(session), (print) => ({
      ...print,
      identificationId,
      metafileUrl,
    }));
    if (changed) return;
    await this.#prints.put(keyOf(session), {
      ...session,
      identificationId,
      metafileUrl,
      jobErrorAction,
      sheetsBefore: mediaSheetsCompleted,
      cancelRequested: false,
    });
  }

  async requestCancel(session: Session): Promise<void> {
    await this.#prints.change(keyOf(session), (print) => ({ ...print, cancelRequested: true }));
  }

  /** Nothing of the print remains; a printer that still works on it is told to stop when it next reports. */
  remove(session: Session): Promise<void> {
    return this.#prints.delete(keyOf(session));
  }

  /** What a printer reports, as it reports it; undefined until the first report. Ends on abort. */
  async *watch(session: Session, signal: AbortSignal): AsyncIterable<PrintStatus | undefined> {
    for await (const print of this.#prints.watch(keyOf(session), signal)) yield print && statusOf(print);
  }

  /** What waits for the printer, at once if there is something, else as soon as there is, or nothing after `waitMs`. */
  async poll(
    printerId: PrinterId,
    held: ReadonlySet<string>,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<Polled> {
    const present = await this.#waiting(printerId, held);
    if (waitMs === 0 || present.ready.length > 0 || present.cancel.length > 0) return present;
    const over = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
    for await (const change of this.#bucket.watch(printerId, over)) {
      if (change.kind === "delete") continue;
      const polled = await this.#waiting(printerId, held);
      if (polled.ready.length > 0 || polled.cancel.length > 0) return polled;
    }
    return { ready: [], cancel: [] };
  }

  async #waiting(printerId: PrinterId, held: ReadonlySet<string>): Promise<Polled> {
    const ready: Print[] = [];
    const cancel: Print[] = [];
    for await (const { value: print } of this.#prints.all(printerId)) {
      if (hasEnded(print)) continue;
      if (held.has(print.jobId)) {
        if (print.cancelRequested) cancel.push(print);
      } else if (!print.cancelRequested) ready.push(print);
    }
    return { ready: ready.map(sessionOf), cancel: cancel.map(sessionOf) };
  }

  /**
   * The instruction, for a printer that begins the print or, after a restart, begins it again after the sheets it had
   * stacked. Throws `job-unknown`.
   */
  async fetch(session: Session, token: string): Promise<PrintInstruction> {
    const print = await this.#prints.change(keyOf(session), ({ status, ...rest }) => {
      const reported = status === undefined ? 0 : (statusOf({ ...rest, status })?.mediaSheetsCompleted ?? 0);
      return { ...rest, sheetsBefore: Math.max(rest.sheetsBefore, reported) };
    });
    if (!print) throw noPrint(session);
    return create(PrintInstructionSchema, {
      session,
      identificationId: print.identificationId,
      metafileUrl: print.metafileUrl,
      token,
      jobErrorAction: print.jobErrorAction as JobErrorAction,
      mediaSheetsCompleted: print.sheetsBefore,
    });
  }

  /** S110: takes a report. Resolves to whether the printer should stop: a user wants it, or the job has ended without it. */
  async report(session: Session, status: PrintStatus): Promise<boolean> {
    const print = await this.#prints.change(keyOf(session), (present) => {
      const known = statusOf(present);
      if (known && known.sequence >= status.sequence) return present;
      return { ...present, status: toJson(PrintStatusSchema, status) as Print["status"] };
    });
    return print === undefined ? !isEndState(status.state) : print.cancelRequested;
  }
}

const noPrint = ({ jobId, printerId }: Session) =>
  new PlatenError("job-unknown", `nothing of job ${jobId} waits for printer ${printerId}`);

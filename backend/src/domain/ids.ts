/** Branded ids, made only here. */
import { createHash, randomBytes } from "node:crypto";
import { PlatenError, type SessionId } from "@platen/proto";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type JobId = Branded<"JobId">;
export type PrinterId = Branded<"PrinterId">;
export type DocumentId = Branded<"DocumentId">;
/** Names converted data (S1309). */
export type IdentificationId = Branded<"IdentificationId">;
/** Where a session's record, token and result are found in the stores. */
export type DbIndex = Branded<"DbIndex">;

/** The session id: which print job on which printer (claims 4, 5). */
export interface Session {
  readonly jobId: JobId;
  readonly printerId: PrinterId;
}

const idPattern = /^[A-Za-z0-9_-]{1,64}$/;

function parse<T extends string>(text: string, what: string): T {
  if (!idPattern.test(text)) {
    throw new PlatenError(
      "invalid-argument",
      `${what} must be 1 to 64 letters, digits, "-" or "_", not ${JSON.stringify(text.slice(0, 80))}`,
    );
  }
  return text as T;
}

export const parseJobId = (text: string): JobId => parse(text, "a job id");
export const parsePrinterId = (text: string): PrinterId => parse(text, "a printer id");
export const parseDocumentId = (text: string): DocumentId => parse(text, "a document id");
export const parseIdentificationId = (text: string): IdentificationId => parse(text, "an identification id");

/** The session id of a request; throws `invalid-argument`. */
export const parseSession = (session: Pick<SessionId, "jobId" | "printerId"> | undefined): Session => ({
  jobId: parseJobId(session?.jobId ?? ""),
  printerId: parsePrinterId(session?.printerId ?? ""),
});

/** The fixed string of S1102. */
const fixedString = "platen.session.v1";

/** S1102: the DB index, from job id, printer id and a fixed string. 64 hexadecimal digits. */
export const dbIndexOf = ({ jobId, printerId }: Session): DbIndex =>
  createHash("sha256").update([jobId, printerId, fixedString].join("\0")).digest("hex") as DbIndex;

const random = (bytes: number): string => randomBytes(bytes).toString("hex");

/** What the ids of jobs created at that time begin with: 9 digits of base 36 milliseconds, which sort by time. */
export const jobIdTime = (ms: number): string => Math.max(0, ms).toString(36).padStart(9, "0");
/** A job id that sorts by time of creation: the time, then 48 random bits. */
export const newJobId = (nowMs: number): JobId => `${jobIdTime(nowMs)}-${random(6)}` as JobId;
export const newDocumentId = (): DocumentId => random(16) as DocumentId;
/** S1309: 128 random bits, so that it cannot be guessed. */
export const newIdentificationId = (): IdentificationId => random(16) as IdentificationId;

/** The one error of the project, and the one table that says what each code is in gRPC and in HTTP. */
import type { status as grpcStatus } from "@grpc/grpc-js";

/** gRPC's statuses by number, so that whoever throws errors need not load gRPC. */
const status = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const satisfies Partial<Record<keyof typeof grpcStatus, grpcStatus>>;

/**
 * Every error code, with its gRPC status and its HTTP status. Codes are part of the API: they travel in the trailer
 * `platen-error-code` (gRPC) and in the JSON field `code` (HTTP), and are kept in `Job.error_code`.
 * Only `unavailable` is ever retried.
 */
export const errorTable = {
  // Sessions (flow S11xx, S12xx, S13xx, S16xx).
  "session-exists": { grpc: status.ALREADY_EXISTS, http: 409 },
  "session-missing": { grpc: status.NOT_FOUND, http: 404 },
  "source-missing": { grpc: status.FAILED_PRECONDITION, http: 409 },
  // Downloads (S1208).
  "download-failed": { grpc: status.FAILED_PRECONDITION, http: 502 },
  "download-refused": { grpc: status.PERMISSION_DENIED, http: 403 },
  "download-too-large": { grpc: status.RESOURCE_EXHAUSTED, http: 413 },
  "download-timeout": { grpc: status.FAILED_PRECONDITION, http: 504 },
  // Documents (S1308).
  "document-damaged": { grpc: status.INVALID_ARGUMENT, http: 422 },
  "document-password": { grpc: status.INVALID_ARGUMENT, http: 422 },
  "document-format": { grpc: status.INVALID_ARGUMENT, http: 415 },
  "document-unknown": { grpc: status.NOT_FOUND, http: 404 },
  "document-used": { grpc: status.FAILED_PRECONDITION, http: 409 },
  "document-too-large": { grpc: status.RESOURCE_EXHAUSTED, http: 413 },
  "conversion-time-limit": { grpc: status.RESOURCE_EXHAUSTED, http: 422 },
  "conversion-memory-limit": { grpc: status.RESOURCE_EXHAUSTED, http: 422 },
  "conversion-crashed": { grpc: status.INTERNAL, http: 500 },
  // Tickets and requests.
  "ticket-invalid": { grpc: status.INVALID_ARGUMENT, http: 400 },
  "ticket-unsupported": { grpc: status.FAILED_PRECONDITION, http: 409 },
  "invalid-argument": { grpc: status.INVALID_ARGUMENT, http: 400 },
  "message-too-large": { grpc: status.RESOURCE_EXHAUSTED, http: 413 },
  "job-unknown": { grpc: status.NOT_FOUND, http: 404 },
  // Results (S1504, S1506: one refusal for all, so that nothing can be learnt by asking).
  "identification-unknown": { grpc: status.NOT_FOUND, http: 404 },
  "metafile-unavailable": { grpc: status.FAILED_PRECONDITION, http: 502 },
  "metafile-invalid": { grpc: status.FAILED_PRECONDITION, http: 502 },
  "page-unavailable": { grpc: status.FAILED_PRECONDITION, http: 502 },
  "page-invalid": { grpc: status.FAILED_PRECONDITION, http: 502 },
  // Printers.
  "printer-unknown": { grpc: status.NOT_FOUND, http: 404 },
  "printer-unreachable": { grpc: status.FAILED_PRECONDITION, http: 503 },
  "printer-taken": { grpc: status.PERMISSION_DENIED, http: 403 },
  "printer-busy": { grpc: status.FAILED_PRECONDITION, http: 409 },
  "engine-fault": { grpc: status.FAILED_PRECONDITION, http: 503 },
  "engine-offline": { grpc: status.FAILED_PRECONDITION, http: 503 },
  // Updates of printers' software.
  "update-unknown": { grpc: status.NOT_FOUND, http: 404 },
  "update-invalid": { grpc: status.INVALID_ARGUMENT, http: 422 },
  "update-refused": { grpc: status.FAILED_PRECONDITION, http: 409 },
  "disk-full": { grpc: status.RESOURCE_EXHAUSTED, http: 507 },
  // Access.
  unauthenticated: { grpc: status.UNAUTHENTICATED, http: 401 },
  "plaintext-refused": { grpc: status.FAILED_PRECONDITION, http: 426 },
  // The system.
  conflict: { grpc: status.ABORTED, http: 409 },
  canceled: { grpc: status.CANCELLED, http: 499 },
  "deadline-exceeded": { grpc: status.DEADLINE_EXCEEDED, http: 504 },
  unavailable: { grpc: status.UNAVAILABLE, http: 503 },
  unimplemented: { grpc: status.UNIMPLEMENTED, http: 501 },
  configuration: { grpc: status.FAILED_PRECONDITION, http: 500 },
  internal: { grpc: status.INTERNAL, http: 500 },
} as const satisfies Record<string, { grpc: grpcStatus; http: number }>;

export type ErrorCode = keyof typeof errorTable;

/** A failure with a code for programs and a sentence that a person can act on. */
export class PlatenError extends Error {
  override readonly name = "PlatenError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(errorTable, text);

export const hasCode = (error: unknown, ...codes: ErrorCode[]): error is PlatenError =>
  error instanceof PlatenError && codes.includes(error.code);

/** Anything thrown, as a PlatenError: aborts become `canceled`, what nobody foresaw becomes `internal`. */
export function toPlatenError(thrown: unknown): PlatenError {
  if (thrown instanceof PlatenError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof Error && thrown.name === "TimeoutError") {
    return new PlatenError("deadline-exceeded", message, { cause: thrown });
  }
  if (thrown instanceof Error && thrown.name === "AbortError") {
    return new PlatenError("canceled", message, { cause: thrown });
  }
  return new PlatenError("internal", message, { cause: thrown });
}

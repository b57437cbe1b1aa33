/** How a print ended, as the printer told it, and what that makes of the job (S110, S111). Pure. */
import { JobState, JobStateReason, type PrintStatus } from "@platen/proto";

/** An end of a job. */
export interface Ending {
  readonly state: typeof JobState.COMPLETED | typeof JobState.CANCELED | typeof JobState.ABORTED;
  readonly reasons: readonly JobStateReason[];
  readonly message: string;
  /** Code of a failure, else empty. */
  readonly errorCode: string;
}

export const isEndState = (state: JobState): state is Ending["state"] =>
  state === JobState.COMPLETED || state === JobState.CANCELED || state === JobState.ABORTED;

/** The ending that a print's last status tells of, or undefined while it goes on. */
export function endingOf(status: PrintStatus): Ending | undefined {
  if (!isEndState(status.state)) return undefined;
  return {
    state: status.state,
    reasons: status.stateReasons,
    message: status.message,
    errorCode: status.errorCode,
  };
}

export const canceledByUser: Ending = {
  state: JobState.CANCELED,
  reasons: [JobStateReason.JOB_CANCELED_BY_USER],
  message: "canceled by the user",
  errorCode: "",
};

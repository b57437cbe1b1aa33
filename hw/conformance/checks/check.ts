/** What a check is, and what several of them do. */
import type { Message, Status } from "../../protocol/index.ts";
import { jobMessage, newJobKey } from "../pages.ts";
import { expectThat, type RawHost } from "../raw-host.ts";

export interface Check {
  readonly name: string;
  /** Returns what should stand in the report, or why the check does not apply. */
  run(host: RawHost): Promise<string | { readonly skipped: string } | void>;
}

export const stackedAs = (host: RawHost, jobKey: string, sheet: number): Promise<Status> =>
  host.statusWhere(
    (status) => status.jobKey === jobKey && status.sheetsStacked === sheet,
    `sheet ${sheet} is not reported as stacked`,
  );

/** Prints one sheet of a new job; resolves when it is stacked with the right digest. */
export async function printSheet(
  host: RawHost,
  { messages, digest }: { readonly messages: readonly Message[]; readonly digest: number },
): Promise<void> {
  const jobKey = newJobKey();
  await host.send(jobMessage(jobKey), ...messages, { kind: "job-end" });
  const status = await stackedAs(host, jobKey, 1);
  expectThat(status.refusal === "none", `refused: ${status.refusal}`);
  expectThat(
    status.stackedDigest === digest,
    "the digest of the stacked sheet is not that of the bands sent",
  );
}

/**
 * The records of all jobs, and their histories.
 *
 * A record is one value: the job and, behind it, the last event of its history, so that a change and the event that tells of
 * it are written in one step and no crash comes between them. Earlier events lie in a bucket of their own: whoever changes a
 * job first puts the event that it finds in the record there (the same bytes under the same key, however many do so), then
 * replaces the record. So whoever sees event n in a record finds all events before it, and a watcher needs to watch nothing
 * but the record.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  hasCode,
  type Job,
  type JobEvent,
  JobEventKind,
  JobEventSchema,
  JobSchema,
  type JobState,
  PlatenError,
} from "@platen/proto";
import { type JobId, jobIdTime, parseJobId } from "../domain/ids.ts";
import { type EventDetails, isEnded, jobEvent } from "../domain/job.ts";
import type { Bucket, KeyValueStore } from "../ports/key-value.ts";

export interface JobsOptions {
  /** How long a job and its history are kept after its last change; at least an hour. */
  readonly retentionMs: number;
  readonly now: () => number;
}

/** A step of a job, and what it makes of the record. */
export interface JobChange {
  /** ENDED when, and only when, `apply` brings the job to an end state. */
  readonly kind: JobEventKind;
  /** One sentence for people; default: for ENDED the job's own message, else empty. */
  readonly message?: string;
  /** Which executor did it. */
  readonly executorId?: string;
  /** Makes the changed job; may be called again on a newer one. Pure. */
  readonly apply?: (job: Job) => Job;
}

export interface JobFilter {
  /** Only jobs of this printer. */
  readonly printerId?: string | undefined;
  /** Only jobs in one of these states; all when empty. */
  readonly states?: readonly JobState[] | undefined;
  /** At least 1. */
  readonly pageSize: number;
  /** `nextPageToken` of the page before; empty for the first. */
  readonly pageToken: string;
}

export interface JobPage {
  readonly jobs: Job[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

interface JobRecord {
  readonly job: Job;
  /** The last of the history. */
  readonly event: JobEvent;
}

const minRetentionMs = 60 * 60 * 1000;
/** Values fetched at a time. */
const batchSize = 64;

const encode = ({ job, event }: JobRecord): Uint8Array =>
  new BinaryWriter().bytes(toBinary(JobSchema, job)).bytes(toBinary(JobEventSchema, event)).finish();

function decode(value: Uint8Array): JobRecord {
  const reader = new BinaryReader(value);
  return { job: fromBinary(JobSchema, reader.bytes()), event: fromBinary(JobEventSchema, reader.bytes()) };
}

const eventKey = (jobId: JobId | string, sequence: bigint): string =>
  `${jobId}.${sequence.toString().padStart(10, "0")}`;

const unknown = (jobId: string): PlatenError =>
  new PlatenError("job-unknown", `there is no job ${jobId}, or it ended so long ago that it is forgotten`);

export class Jobs {
  readonly #records: Bucket;
  readonly #events: Bucket;
  readonly #retentionMs: number;
  readonly #now: () => number;
  #renewedMs = Number.NEGATIVE_INFINITY;

  private constructor(records: Bucket, events: Bucket, retentionMs: number, now: () => number) {
    this.#records = records;
    this.#events = events;
    this.#retentionMs = retentionMs;
    this.#now = now;
  }

  static async open(keyValue: KeyValueStore, options: JobsOptions): Promise<Jobs> {
    const retentionMs = Math.max(options.retentionMs, minRetentionMs);
    const [records, events] = await Promise.all([
      keyValue.bucket("jobs", { ttlMs: retentionMs }),
      keyValue.bucket("job-events", { ttlMs: retentionMs }),
    ]);
    return new Jobs(records, events, retentionMs, options.now);
  }

  /** Makes the record, and its event CREATED. Throws `conflict` when there is one. */
  async create(job: Job): Promise<void> {
    const event = this.#event(job, { sequence: 1n, kind: JobEventKind.CREATED });
    await this.#records.create(job.jobId, encode({ job, event }));
  }

  async get(jobId: JobId): Promise<Job | undefined> {
    const entry = await this.#records.get(jobId);
    return entry && decode(entry.value).job;
  }

  /**
   * Changes a job, however many others change it too, and makes the event that tells of it. What to do may depend on the job
   * as it stands; undefined leaves it. A job that has ended takes nothing but CLEANED_UP, once: it is returned as it is.
   * Throws `job-unknown`.
   */
  async change(jobId: JobId, change: JobChange | ((job: Job) => JobChange | undefined)): Promise<Job> {
    for (;;) {
      const entry = await this.#records.get(jobId);
      if (!entry) throw unknown(jobId);
      const { job: present, event: last } = decode(entry.value);
      const step = typeof change === "function" ? change(present) : change;
      if (!step || !accepts(present, last, step.kind)) return present;
      const job = step.apply?.(present) ?? present;
      if ((step.kind === JobEventKind.ENDED) !== (isEnded(job) && !isEnded(present))) {
        throw new PlatenError("internal", `job ${jobId}: the event ENDED and an end state go together`);
      }
      const event = this.#event(job, { ...step, sequence: last.sequence + 1n });
      await this.#events.put(eventKey(jobId, last.sequence), toBinary(JobEventSchema, last));
      try {
        await this.#records.update(jobId, encode({ job, event }), entry.revision);
        return job;
      } catch (error) {
        if (!hasCode(error, "conflict")) throw error;
      }
    }
  }

  /**
   * The history from after `afterSequence`, then each event as it happens; ends when the job has ended (what cleans up after
   * it is told only to those who look later) or `signal` aborts. Events that have outlived the retention are left out.
   * Throws `job-unknown`.
   */
  async *watch(jobId: JobId, afterSequence: bigint, signal: AbortSignal): AsyncGenerator<JobEvent> {
    let seen = afterSequence;
    for await (const { job, event } of this.#watch(jobId, signal)) {
      if (event.sequence > seen) {
        yield* this.#history(jobId, seen + 1n, event.sequence, signal);
        yield event;
        seen = event.sequence;
      }
      if (isEnded(job)) return;
    }
  }

  /** The job as it stands and whenever it changes; ends with its end state or when `signal` aborts. Throws `job-unknown`. */
  async *watchRecord(jobId: JobId, signal: AbortSignal): AsyncGenerator<Job> {
    for await (const { job } of this.#watch(jobId, signal)) {
      yield job;
      if (isEnded(job)) return;
    }
  }

  /** Jobs, newest first, a page at a time. */
  async list(filter: JobFilter): Promise<JobPage> {
    const before = filter.pageToken && parseJobId(filter.pageToken);
    const keys: string[] = [];
    for await (const key of this.#records.keys()) if (!before || key < before) keys.push(key);
    const jobs: Job[] = [];
    for await (const job of this.#jobs(keys.toReversed())) {
      if (filter.printerId && job.printerId !== filter.printerId) continue;
      if (filter.states?.length && !filter.states.includes(job.state)) continue;
      if (jobs.length === filter.pageSize) return { jobs, nextPageToken: jobs.at(-1)!.jobId };
      jobs.push(job);
    }
    return { jobs, nextPageToken: "" };
  }

  /** Jobs that have not ended and were created at `sinceMs` or later, oldest first. */
  async *active(sinceMs = 0): AsyncGenerator<Job> {
    const since = jobIdTime(sinceMs);
    const keys: string[] = [];
    for await (const key of this.#records.keys()) if (key >= since) keys.push(key);
    for await (const job of this.#jobs(keys)) if (!isEnded(job)) yield job;
  }

  /**
   * Writes again what jobs that have not ended stored long ago, so that a job which waits for its printer longer than the
   * retention does not expire. To be called now and then; does nothing most of the time.
   */
  async renew(): Promise<void> {
    const nowMs = this.#now();
    if (nowMs - this.#renewedMs < this.#retentionMs / 8) return;
    this.#renewedMs = nowMs;
    for await (const { jobId, createTime } of this.active()) {
      if (createTime && nowMs - timestampMs(createTime) < this.#retentionMs / 4) continue;
      for await (const { key, value } of this.#events.entries(jobId)) await this.#events.put(key, value);
      const entry = await this.#records.get(jobId);
      if (entry) await this.#records.update(jobId, entry.value, entry.revision).catch(ignoreConflict);
    }
  }

  async *#watch(jobId: JobId, signal: AbortSignal): AsyncGenerator<JobRecord> {
    let known = false;
    for await (const change of this.#records.watch(jobId, signal)) {
      if (change.kind === "put") {
        known = true;
        yield decode(change.entry.value);
      } else if (change.kind === "delete" || !known) throw unknown(jobId);
    }
  }

  /** Events from `first` to before `end`. */
  async *#history(jobId: JobId, first: bigint, end: bigint, signal: AbortSignal): AsyncGenerator<JobEvent> {
    for (let from = first; from < end && !signal.aborted; from += BigInt(batchSize)) {
      const count = Math.min(batchSize, Number(end - from));
      const keys = Array.from({ length: count }, (_, i) => eventKey(jobId, from + BigInt(i)));
      for (const entry of await this.#fetch(this.#events, keys)) yield fromBinary(JobEventSchema, entry);
    }
  }

  async *#jobs(keys: readonly string[]): AsyncGenerator<Job> {
    for (let from = 0; from < keys.length; from += batchSize) {
      const values = await this.#fetch(this.#records, keys.slice(from, from + batchSize));
      for (const value of values) yield decode(value).job;
    }
  }

  /** The values of those keys that exist. */
  async #fetch(bucket: Bucket, keys: readonly string[]): Promise<Uint8Array[]> {
    const entries = await Promise.all(keys.map((key) => bucket.get(key)));
    return entries.flatMap((entry) => (entry ? [entry.value] : []));
  }

  #event(
    job: Job,
    step: Pick<EventDetails, "sequence" | "kind"> & { message?: string; executorId?: string },
  ): JobEvent {
    const { sequence, kind, executorId = "" } = step;
    const message = step.message ?? (kind === JobEventKind.ENDED ? job.stateMessage : "");
    return jobEvent(job, { sequence, kind, message, executorId }, this.#now());
  }
}

/** Whether a job takes a step: all until it has ended, then CLEANED_UP once. */
const accepts = (job: Job, last: JobEvent, kind: JobEventKind): boolean =>
  !isEnded(job) || (kind === JobEventKind.CLEANED_UP && last.kind !== JobEventKind.CLEANED_UP);

function ignoreConflict(error: unknown): void {
  if (!hasCode(error, "conflict")) throw error;
}

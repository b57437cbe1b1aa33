import { create } from "@bufbuild/protobuf";
import {
  type Job,
  type JobEvent,
  JobEventKind,
  JobState,
  JobStateReason,
  JobTicketSchema,
  PlatenError,
} from "@platen/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { canceledByUser, type Ending } from "../domain/endings.ts";
import { type JobId, newJobId, parseJobId, parsePrinterId } from "../domain/ids.ts";
import { endedJob, pendingJob, processingJob } from "../domain/job.ts";
import type { Bucket, KeyValueStore } from "../ports/key-value.ts";
import type { Storage } from "../ports/storage.ts";
import { openTestStorage, storageKinds, type TestStorage } from "../testing/test-storage.ts";
import { type JobChange, Jobs } from "./jobs.ts";

const hour = 60 * 60 * 1000;
const startMs = 1_760_000_000_000;
const retentionMs = 8 * hour;

let opened: TestStorage;
let storage: Storage;
let nowMs: number;
let jobs: Jobs;
const now = () => nowMs;
const forever = new AbortController().signal;

const openJobs = (on: Storage): Promise<Jobs> => Jobs.open(on.keyValue, { retentionMs, now });

async function makeJob(printer = "office"): Promise<JobId> {
  const jobId = newJobId(nowMs++);
  const documentUri = "https://example.org/a.pdf";
  const ticket = create(JobTicketSchema);
  const printerId = parsePrinterId(printer);
  await jobs.create(
    pendingJob({ jobId, printerId, jobName: "a", userName: "ann", documentUri, ticket }, nowMs),
  );
  return jobId;
}

const completed: Ending = { state: JobState.COMPLETED, reasons: [], message: "all printed", errorCode: "" };
const started: JobChange = {
  kind: JobEventKind.STARTED,
  apply: (job) => processingJob(job, JobStateReason.JOB_FETCHABLE),
};
const pageConverted: JobChange = {
  kind: JobEventKind.PAGE_CONVERTED,
  apply: (job) => ({ ...job, impressionsConverted: job.impressionsConverted + 1 }),
};
const ended: JobChange = { kind: JobEventKind.ENDED, apply: (job) => endedJob(job, completed, nowMs) };
const cleanedUp: JobChange = { kind: JobEventKind.CLEANED_UP, executorId: "executor-2" };

const history = (of: Jobs, jobId: JobId, after = 0n): Promise<JobEvent[]> =>
  Array.fromAsync(of.watch(jobId, after, forever));
const sequences = (events: readonly JobEvent[]): number[] => events.map(({ sequence }) => Number(sequence));
const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** The store, but for writes that `crash` says the process dies before: they throw, and nothing is written. */
function crashing(
  store: KeyValueStore,
  crash: (bucket: string, write: "create" | "update" | "put") => boolean,
): KeyValueStore {
  const die = () => Promise.reject(new PlatenError("unavailable", "the process died here"));
  return {
    bucket: async (name, options) => {
      const bucket = await store.bucket(name, options);
      return {
        get: (key) => bucket.get(key),
        create: (key, value) => (crash(name, "create") ? die() : bucket.create(key, value)),
        update: (key, value, revision) =>
          crash(name, "update") ? die() : bucket.update(key, value, revision),
        put: (key, value) => (crash(name, "put") ? die() : bucket.put(key, value)),
        delete: (key, revision) => bucket.delete(key, revision),
        entries: (prefix) => bucket.entries(prefix),
        keys: (prefix) => bucket.keys(prefix),
        watch: (prefix, signal) => bucket.watch(prefix, signal),
      } satisfies Bucket;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

describe.each(storageKinds)("on %s storage", (kind) => {
  beforeEach(async () => {
    opened = await openTestStorage(kind);
    storage = opened.storage;
    nowMs = startMs;
    jobs = await openJobs(storage);
  });
  afterEach(() => opened[Symbol.asyncDispose]());

  describe("records", () => {
    test("a job is made once, and its first event is CREATED", async () => {
      const jobId = await makeJob();
      const job = (await jobs.get(jobId))!;
      expect(job.state).toBe(JobState.PENDING);
      await expect(jobs.create(job)).rejects.toMatchObject({ code: "conflict" });
      const watching = jobs.watch(jobId, 0n, forever);
      const first = await watching.next();
      expect(first.value).toMatchObject({
        sequence: 1n,
        kind: JobEventKind.CREATED,
        state: JobState.PENDING,
      });
      await watching.return(undefined);
    });

    test("each change makes an event that tells how the job stands after it", async () => {
      const jobId = await makeJob();
      await jobs.change(jobId, started);
      await jobs.change(jobId, { ...pageConverted, message: "page 1", executorId: "executor-1" });
      const last = await jobs.change(jobId, ended);
      expect(last).toMatchObject({ state: JobState.COMPLETED, impressionsConverted: 1 });
      expect(await jobs.get(jobId)).toEqual(last);
      expect(await history(jobs, jobId)).toMatchObject([
        { kind: JobEventKind.CREATED, state: JobState.PENDING },
        {
          kind: JobEventKind.STARTED,
          state: JobState.PROCESSING,
          stateReasons: [JobStateReason.JOB_FETCHABLE],
        },
        {
          kind: JobEventKind.PAGE_CONVERTED,
          impressionsConverted: 1,
          message: "page 1",
          executorId: "executor-1",
        },
        { kind: JobEventKind.ENDED, state: JobState.COMPLETED, message: "all printed" },
      ]);
    });

    test("a job that has ended takes nothing but CLEANED_UP, once", async () => {
      const jobId = await makeJob();
      await jobs.change(jobId, started);
      const last = await jobs.change(jobId, ended);
      const canceled = (job: Job) => endedJob(job, canceledByUser, nowMs);
      expect(await jobs.change(jobId, { kind: JobEventKind.ENDED, apply: canceled })).toEqual(last);
      await jobs.change(jobId, cleanedUp);
      await jobs.change(jobId, cleanedUp);
      await jobs.change(jobId, started);
      expect(await jobs.get(jobId)).toEqual(last);
      const events = await history(jobs, jobId);
      expect(events.map(({ kind }) => kind)).toEqual([
        JobEventKind.CREATED,
        JobEventKind.STARTED,
        JobEventKind.ENDED,
        JobEventKind.CLEANED_UP,
      ]);
    });

    test("an end state without the event ENDED, and ENDED without an end state, change nothing", async () => {
      const jobId = await makeJob();
      await jobs.change(jobId, started);
      const wrong: JobChange[] = [{ ...ended, kind: JobEventKind.PRINTED }, { kind: JobEventKind.ENDED }];
      for (const change of wrong)
        await expect(jobs.change(jobId, change)).rejects.toMatchObject({ code: "internal" });
      expect((await jobs.get(jobId))?.state).toBe(JobState.PROCESSING);
    });

    test("a change may depend on the job as it stands, and may be none", async () => {
      const jobId = await makeJob();
      const takeUp = () =>
        jobs.change(jobId, (job) => (job.state === JobState.PENDING ? started : undefined));
      await Promise.all([takeUp(), takeUp(), takeUp()]);
      await jobs.change(jobId, ended);
      expect(sequences(await history(jobs, jobId))).toEqual([1, 2, 3]);
    });

    test("what does not exist is job-unknown", async () => {
      const jobId = parseJobId("nowhere");
      expect(await jobs.get(jobId)).toBeUndefined();
      await expect(jobs.change(jobId, started)).rejects.toMatchObject({ code: "job-unknown" });
      await expect(history(jobs, jobId)).rejects.toMatchObject({ code: "job-unknown" });
      await expect(jobs.watchRecord(jobId, forever).next()).rejects.toMatchObject({ code: "job-unknown" });
    });
  });

  describe("histories", () => {
    test("several writers in several processes leave no gap and lose no change", async () => {
      const jobId = await makeJob();
      await jobs.change(jobId, started);
      const other = await openJobs(await opened.another());
      const write = async (through: Jobs) => {
        for (let i = 0; i < 15; i++) await through.change(jobId, pageConverted);
      };
      await Promise.all([jobs, other, jobs, other].map(write));
      const last = await other.change(jobId, ended);
      expect(last.impressionsConverted).toBe(60);
      for (const reader of [jobs, other]) {
        const events = await history(reader, jobId);
        expect(sequences(events)).toEqual(upTo(63));
        expect(events.slice(2, -1).map((event) => event.impressionsConverted)).toEqual(upTo(60));
      }
    });

    test("a watch shows every event once and in order, whenever it begins", async () => {
      const jobId = await makeJob();
      await jobs.change(jobId, started);
      const other = await openJobs(await opened.another());
      const watches = [history(jobs, jobId), history(other, jobId)];
      for (let i = 0; i < 40; i++) {
        await jobs.change(jobId, pageConverted);
        if (i % 10 === 5) watches.push(history(jobs, jobId), history(other, jobId));
      }
      await jobs.change(jobId, ended);
      for (const events of await Promise.all(watches)) expect(sequences(events)).toEqual(upTo(43));
    });

    test("a broken watch goes on behind the last event seen", async () => {
      const jobId = await makeJob();
      await jobs.change(jobId, started);
      const seen: JobEvent[] = [];
      for await (const event of jobs.watch(jobId, 0n, forever)) {
        seen.push(event);
        if (seen.length === 2) break;
      }
      for (let i = 0; i < 3; i++) await jobs.change(jobId, pageConverted);
      await jobs.change(jobId, ended);
      seen.push(...(await history(jobs, jobId, seen.at(-1)!.sequence)));
      expect(sequences(seen)).toEqual(upTo(6));
      expect(await history(jobs, jobId, 6n)).toEqual([]);
    });

    test("a watch of a job that goes on ends when its signal aborts", async () => {
      const jobId = await makeJob();
      const abort = new AbortController();
      const watching = jobs.watch(jobId, 0n, abort.signal);
      await watching.next();
      const next = watching.next();
      abort.abort();
      expect(await next).toMatchObject({ done: true });
    });

    test("the record's watch begins with the present state and ends with the end state", async () => {
      const jobId = await makeJob();
      const watching = jobs.watchRecord(jobId, forever);
      expect((await watching.next()).value).toMatchObject({ state: JobState.PENDING });
      await jobs.change(jobId, started);
      expect((await watching.next()).value).toMatchObject({ state: JobState.PROCESSING });
      await jobs.change(jobId, ended);
      expect((await watching.next()).value).toMatchObject({ state: JobState.COMPLETED });
      expect(await watching.next()).toMatchObject({ done: true });
    });
  });

  describe("crashes", () => {
    test.each([
      ["before an event is put away", "job-events", "put"],
      ["between an event put away and the record replaced", "jobs", "update"],
    ] as const)("one %s costs no event and makes no gap", async (_, bucket, write) => {
      const jobId = await makeJob();
      let alive = true;
      const dying = await Jobs.open(
        crashing(storage.keyValue, (name, kind) => !alive && name === bucket && kind === write),
        { retentionMs, now },
      );
      await dying.change(jobId, started);
      alive = false;
      await expect(dying.change(jobId, pageConverted)).rejects.toMatchObject({ code: "unavailable" });
      // A watcher that looks now sees all that happened, and nothing that did not.
      const watching = jobs.watch(jobId, 0n, forever);
      expect(sequences([(await watching.next()).value!, (await watching.next()).value!])).toEqual([1, 2]);
      const rest = Array.fromAsync(watching);
      await jobs.change(jobId, pageConverted);
      await jobs.change(jobId, ended);
      expect(sequences(await rest)).toEqual([3, 4]);
      expect(sequences(await history(jobs, jobId))).toEqual(upTo(4));
    });

    test("a writer that wakes up late puts away what lies there already, and changes no history", async () => {
      const jobId = await makeJob();
      await jobs.change(jobId, started);
      const { promise: woken, resolve: wake } = Promise.withResolvers<void>();
      const { promise: asleep, resolve: fallAsleep } = Promise.withResolvers<void>();
      const slowStore = crashing(storage.keyValue, () => false);
      const slow = await Jobs.open(
        {
          ...slowStore,
          bucket: async (name, options) => {
            const bucket = await slowStore.bucket(name, options);
            if (name !== "job-events") return bucket;
            return {
              ...bucket,
              put: async (key, value) => {
                fallAsleep();
                await woken;
                return bucket.put(key, value);
              },
            };
          },
        },
        { retentionMs, now },
      );
      const late = slow.change(jobId, pageConverted);
      await asleep;
      for (let i = 0; i < 5; i++) await jobs.change(jobId, pageConverted);
      wake();
      await late;
      await jobs.change(jobId, ended);
      const events = await history(jobs, jobId);
      expect(sequences(events)).toEqual(upTo(9));
      expect(events.at(-1)?.impressionsConverted).toBe(6);
    });

    test("events that have outlived the retention are left out, and nobody waits for them", async () => {
      const jobId = await makeJob();
      await jobs.change(jobId, started);
      for (let i = 0; i < 4; i++) await jobs.change(jobId, pageConverted);
      await jobs.change(jobId, ended);
      const events = await storage.keyValue.bucket("job-events", { ttlMs: retentionMs });
      for (const sequence of [1, 2, 3]) await events.delete(`${jobId}.${String(sequence).padStart(10, "0")}`);
      expect(sequences(await history(jobs, jobId))).toEqual(upTo(7, 4));
    });
  });

  describe("lists", () => {
    test("are newest first, a page at a time, also while new jobs come", async () => {
      const ids: JobId[] = [];
      for (let i = 0; i < 5; i++) ids.unshift(await makeJob());
      const first = await jobs.list({ pageSize: 2, pageToken: "" });
      await makeJob();
      const second = await jobs.list({ pageSize: 2, pageToken: first.nextPageToken });
      const third = await jobs.list({ pageSize: 2, pageToken: second.nextPageToken });
      const listed = [first, second, third].flatMap((page) => page.jobs.map((job) => job.jobId));
      expect(listed).toEqual(ids);
      expect(third.nextPageToken).toBe("");
    });

    test("show only the printer and the states asked for, and say when no more of them follow", async () => {
      const mine: JobId[] = [];
      for (let i = 0; i < 70; i++) {
        const jobId = await makeJob(i % 7 === 0 ? "mine" : "other");
        if (i % 7 === 0) mine.unshift(jobId);
      }
      await jobs.change(mine[1]!, started);
      const page = await jobs.list({
        printerId: "mine",
        states: [JobState.PENDING],
        pageSize: 9,
        pageToken: "",
      });
      expect(page.jobs.map((job) => job.jobId)).toEqual(mine.toSpliced(1, 1));
      expect(page.nextPageToken).toBe("");
      const processing = await jobs.list({ states: [JobState.PROCESSING], pageSize: 1, pageToken: "" });
      expect(processing).toMatchObject({ jobs: [{ jobId: mine[1] }], nextPageToken: "" });
    });

    test("of active jobs hold those that have not ended and are not older than asked", async () => {
      const [old, gone, young] = [await makeJob(), await makeJob(), await makeJob()];
      await jobs.change(gone, started);
      await jobs.change(gone, ended);
      const active = async (sinceMs?: number) =>
        (await Array.fromAsync(jobs.active(sinceMs))).map((job) => job.jobId);
      expect(await active()).toEqual([old, young]);
      expect(await active(startMs + 1)).toEqual([young]);
    });
  });

  describe("retention", () => {
    test("what a job left long ago that has not ended is written again, so that it does not expire; now and then", async () => {
      const [waiting, gone] = [await makeJob(), await makeJob()];
      await jobs.change(waiting, started);
      await jobs.change(gone, started);
      await jobs.change(gone, ended);
      const buckets = [
        await storage.keyValue.bucket("jobs", { ttlMs: retentionMs }),
        await storage.keyValue.bucket("job-events", { ttlMs: retentionMs }),
      ];
      const revisions = async () => {
        const all = await Promise.all(buckets.map((bucket) => Array.fromAsync(bucket.entries())));
        return new Map(all.flat().map(({ key, revision }) => [key, revision]));
      };
      const before = await revisions();
      await jobs.renew();
      expect(await revisions()).toEqual(before);
      nowMs = startMs + retentionMs / 2;
      await jobs.renew();
      const after = await revisions();
      for (const [key, revision] of after) {
        if (key.startsWith(waiting)) expect(revision).toBeGreaterThan(before.get(key)!);
        else expect(revision).toBe(before.get(key));
      }
      await jobs.renew();
      expect(await revisions()).toEqual(after);
    });
  });
});

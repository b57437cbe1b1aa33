import { create } from "@bufbuild/protobuf";
import {
  bindService,
  clientCredentials,
  connect,
  IntakeService,
  type Job,
  JobEventKind,
  JobSchema,
  JobState,
  PlatenError,
  type RunningServer,
  serve,
  serverCredentials,
  type ServiceHandlers,
} from "@platen/proto";
import { expect, test } from "vitest";
import { stateName } from "../domain/job.ts";
import { followed } from "./job-commands.ts";
import type { Reporter } from "./reporter.ts";

const job: Job = create(JobSchema, { jobId: "job-1", jobName: "a.pdf" });
const signal = new AbortController().signal;

/** What a follower reads off, one text a call; `onEvent` is called with each event's sequence. */
function recorder(onEvent: (sequence: bigint) => void = () => {}) {
  const told: string[] = [];
  const reporter: Reporter = {
    submitted() {},
    event: (_, { sequence }) => {
      told.push(`event ${sequence}`);
      onEvent(sequence);
    },
    ended: ({ state }) => told.push(`ended ${stateName(state)}`),
    refused() {},
    note: (text) => told.push(text),
    close() {},
  };
  return { told, reporter };
}

/** An intake whose watches tell one event, the one after what the caller has, and then break; the third is the end. */
async function intakeServer(address: string) {
  const handlers = {
    watchJob: async function* ({ afterSequence }: { afterSequence: bigint }) {
      const sequence = afterSequence + 1n;
      const isEnd = sequence === 3n;
      const kind = isEnd ? JobEventKind.ENDED : JobEventKind.PRINTED;
      yield { event: { sequence, kind, state: isEnd ? JobState.COMPLETED : JobState.PROCESSING } };
      if (!isEnd) throw new PlatenError("unavailable", "the server has stopped");
    },
  } as unknown as ServiceHandlers<typeof IntakeService>;
  const credentials = serverCredentials({});
  return serve([bindService(IntakeService, handlers)], { address, credentials });
}

test("a watched job is followed over a restart of the server, which is told once", async () => {
  const first = await intakeServer("127.0.0.1:0");
  using connection = connect(first.address, clientCredentials({}, false));
  let stopped: PromiseLike<void> | undefined;
  let restarted: PromiseLike<RunningServer> | undefined;
  const { told, reporter } = recorder((sequence) => {
    if (sequence === 2n) stopped = first[Symbol.asyncDispose]();
  });
  const note = reporter.note;
  reporter.note = (text) => {
    note(text);
    restarted = stopped?.then(() => intakeServer(first.address));
  };
  const state = await followed(connection.client(IntakeService), job, reporter, signal);
  expect(state).toBe(JobState.COMPLETED);
  expect(told).toEqual([
    "event 1",
    "event 2",
    "the server is out of reach, and is tried again",
    "event 3",
    "ended completed",
  ]);
  await (await restarted)?.[Symbol.asyncDispose]();
});

test("a server that does not come again is given up, with the command that follows the job", async () => {
  const server = await intakeServer("127.0.0.1:0");
  await server[Symbol.asyncDispose]();
  using connection = connect(server.address, clientCredentials({}, false));
  const { told, reporter } = recorder();
  await expect(followed(connection.client(IntakeService), job, reporter, signal, 3)).rejects.toMatchObject({
    code: "deadline-exceeded",
    message: expect.stringMatching(/ECONNREFUSED.*"platen watch job-1" follows this one$/),
  });
  expect(told).toEqual(["the server is out of reach, and is tried again"]);
});

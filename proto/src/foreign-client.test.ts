/** A real gRPC client that shares no code with ours, and learns all by reflection. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  bindService,
  ConversionService,
  IntakeService,
  JobState,
  PlatenError,
  type RunningServer,
  serve,
  serverCredentials,
  type ServiceHandlers,
} from "./index.ts";

const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

let server: RunningServer;
const received: string[] = [];

beforeAll(async () => {
  const handlers = {
    submitJob: ({ printerId, document, ticket }) => ({
      job: {
        jobId: "j1",
        printerId,
        jobName: String(document.value),
        state: JobState.PENDING,
        ticket: ticket!,
      },
    }),
    getJob: ({ jobId }) => {
      throw new PlatenError("job-unknown", `there is no job "${jobId}"`);
    },
    watchJob: async function* () {
      for (let i = 1n; i <= 3n; i++) yield { event: { sequence: i } };
    },
    uploadDocument: async (requests) => {
      for await (const { part } of requests) {
        received.push(part.case === "chunk" ? Buffer.from(part.value).toString() : `${part.value?.fileName}`);
      }
      return { documentId: "d1", sizeBytes: 5n };
    },
  } as Partial<ServiceHandlers<typeof IntakeService>> as ServiceHandlers<typeof IntakeService>;
  const conversion = {} as ServiceHandlers<typeof ConversionService>;
  server = await serve([bindService(IntakeService, handlers), bindService(ConversionService, conversion)], {
    address: "127.0.0.1:0",
    credentials: serverCredentials({}),
  });
});

afterAll(() => server[Symbol.asyncDispose]());

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const curl = (path: string, ...args: string[]): Promise<Result> =>
  new Promise((resolve) => {
    const all = [
      "curl",
      "--protocol",
      "grpc",
      "--http2-prior-knowledge",
      ...args,
      `http://${server.address}${path}`,
    ];
    execFile(buf, all, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });

describe("buf curl, by reflection alone", () => {
  test("lists the services, and their methods", async () => {
    const services = await curl("", "--list-services");
    expect(services.stdout.trim().split("\n").toSorted()).toEqual([
      "grpc.health.v1.Health",
      "platen.v1.ConversionService",
      "platen.v1.IntakeService",
    ]);
    const methods = await curl("", "--list-methods");
    const expected = [IntakeService, ConversionService].flatMap(({ typeName, methods }) =>
      methods.map(({ name }) => `${typeName}/${name}`),
    );
    const health = ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"];
    expect(methods.stdout.trim().split("\n").toSorted()).toEqual([...health, ...expected.toSorted()]);
  });

  test("calls: messages with fields of other files, enums and oneofs", async () => {
    const request = { printerId: "p1", documentUri: "https://example.com/a.pdf", ticket: { copies: 2 } };
    const { status, stdout } = await curl(
      "/platen.v1.IntakeService/SubmitJob",
      "-d",
      JSON.stringify(request),
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      job: {
        jobId: "j1",
        printerId: "p1",
        jobName: "https://example.com/a.pdf",
        state: "JOB_STATE_PENDING",
        ticket: { copies: 2 },
      },
    });
  });

  test("gets errors with their status and their sentence", async () => {
    const { status, stderr } = await curl("/platen.v1.IntakeService/GetJob", "-d", '{"jobId":"x"}');
    expect(status >> 3).toBe(5); // NOT_FOUND
    expect(JSON.parse(stderr)).toMatchObject({ code: "not_found", message: 'there is no job "x"' });
  });

  test("reads a stream", async () => {
    const { stdout } = await curl("/platen.v1.IntakeService/WatchJob", "-d", "{}");
    const sequences = [...stdout.matchAll(/"sequence": "(\d)"/g)].map(([, sequence]) => sequence);
    expect(sequences).toEqual(["1", "2", "3"]);
  });

  test("uploads by stream", async () => {
    const chunk = Buffer.from("hello").toString("base64");
    const messages = `{"header":{"fileName":"a.pdf"}} {"chunk":"${chunk}"}`;
    const { stdout } = await curl("/platen.v1.IntakeService/UploadDocument", "-d", messages);
    expect(JSON.parse(stdout)).toEqual({ documentId: "d1", sizeBytes: "5" });
    expect(received).toEqual(["a.pdf", "hello"]);
  });

  test.each(["", "platen.v1.IntakeService"])('asks for the health of "%s"', async (service) => {
    const path = "/grpc.health.v1.Health/Check";
    const { stdout } = await curl(path, "-d", JSON.stringify({ service }));
    expect(JSON.parse(stdout)).toEqual({ status: "SERVING" });
  });
});

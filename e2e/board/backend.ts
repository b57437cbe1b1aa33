/** The backend that the board is a printer of: `platen serve` on this machine, with TLS and an enrolment key. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  clientCredentials,
  connect,
  IntakeService,
  type Job,
  type JobEvent,
  type RegisteredPrinter,
  type ServiceClient,
} from "@platen/proto";
import { makeAuthority } from "../support/certificates.ts";
import { dpi, media } from "./document.ts";
import { freePort, type Said, runProgram, startProgram } from "./processes.ts";

const main = "backend/src/main.ts";
export const enrolmentKey = "a key of the emulated board";

/** Where the emulated board finds this machine: QEMU's user network. */
export const hostAsSeenByBoard = "10.0.2.2";

/** Before any clock that has not been set: certificates must be good for a board that does not know the time. */
const longAgo = new Date("2000-01-01T00:00:00Z");
const muchLater = new Date("2049-12-31T00:00:00Z");

export interface Backend extends AsyncDisposable {
  /** Of gRPC, on this machine and for the board. */
  readonly port: number;
  /** PEM, and the file that it is in. */
  readonly ca: string;
  readonly caFile: string;
  /** Runs the `platen` command against it. */
  platen(...args: string[]): Promise<Said>;
  printer(printerId: string): Promise<RegisteredPrinter | undefined>;
  /** Submits by the command, as a user would. */
  submit(printerId: string, pdf: Uint8Array, signal: AbortSignal): Promise<string>;
  /** Resolves when the job has ended. */
  ended(jobId: string, signal: AbortSignal): Promise<{ job: Job; events: JobEvent[] }>;
  /** Its files, those of its blobs among them: to damage one. */
  files(): Promise<string[]>;
}

/** `resultHost` is where printers find it. */
export async function startBackend(
  folder: string,
  resultHost: string,
  onLine: (line: string) => void,
): Promise<Backend> {
  await using stack = new AsyncDisposableStack();
  const authority = await makeAuthority(folder, "board-test", { from: longAgo, until: muchLater });
  const certificate = await authority.issue("backend", ["localhost", "127.0.0.1", hostAsSeenByBoard]);
  const httpPort = await freePort();
  const dataDir = join(folder, "backend");
  const settings = {
    listen: "127.0.0.1:0",
    httpListen: `127.0.0.1:${httpPort}`,
    resultUrl: `https://${resultHost}:${httpPort}`,
    dataDir,
    tempDir: join(folder, "temp"),
    renderWorkers: 1,
    enrolmentKey,
    updateIntervalMs: 2000,
    tlsCertFile: certificate.cert,
    tlsKeyFile: certificate.key,
  };
  const config = join(folder, "backend.json");
  await writeFile(config, JSON.stringify(settings), { mode: 0o600 });
  // Its roles call each other over TLS too; boards and people show no certificate.
  const env = {
    NODE_EXTRA_CA_CERTS: authority.ca,
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: authority.ca,
    NODE_NO_WARNINGS: "1",
  };
  const server = stack.use(startProgram(main, ["serve", "--config", config, "--json"], { env, onLine }));
  const ready = JSON.parse(await server.line((line) => line.includes('"ready"'))) as { grpcAddress: string };
  const ca = await readFile(authority.ca);
  const port = Number(ready.grpcAddress.slice(ready.grpcAddress.lastIndexOf(":") + 1));
  const connection = stack.use(connect(`localhost:${port}`, clientCredentials({ ca }, true)));
  const intake: ServiceClient<typeof IntakeService> = connection.client(IntakeService);
  const platen = (args: readonly string[], signal?: AbortSignal) =>
    runProgram(main, args, {
      env: { PLATEN_SERVER: `localhost:${port}`, PLATEN_TLS_CA: authority.ca, NODE_NO_WARNINGS: "1" },
      ...(signal && { signal }),
    });
  const running = stack.move();
  return {
    port,
    ca: ca.toString(),
    caFile: authority.ca,
    platen: (...args) => platen(args),
    printer: async (printerId) =>
      (await intake.listPrinters({})).printers.find((one) => one.printerId === printerId),
    submit: async (printerId, pdf, signal) => {
      const file = join(folder, "document.pdf");
      await writeFile(file, pdf);
      const ticket = ["--media", media, "--resolution", String(dpi)];
      const { stdout } = await platen(["submit", file, "--printer", printerId, ...ticket, "--json"], signal);
      return (JSON.parse(stdout.split("\n")[0]!) as { job: { jobId: string } }).job.jobId;
    },
    ended: async (jobId, signal) => {
      const events: JobEvent[] = [];
      for await (const { event } of intake.watchJob({ jobId }, { signal })) events.push(event!);
      return { job: (await intake.getJob({ jobId })).job!, events };
    },
    files: async () => {
      const entries = await readdir(dataDir, { recursive: true, withFileTypes: true });
      return entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

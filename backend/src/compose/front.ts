/** The gRPC server of intake, controller and instructors: the one that users and printers call. */
import { setTimeout as delay } from "node:timers/promises";
import {
  type BoundService,
  ConversionService,
  type RunningServer,
  serve,
  serverCredentials,
} from "@platen/proto";
import { Documents } from "../app/documents.ts";
import { Instructors } from "../app/instructors.ts";
import { Intake } from "../app/intake.ts";
import { Jobs } from "../app/jobs.ts";
import { PrintQueue } from "../app/print-queue.ts";
import { Printers } from "../app/printers.ts";
import { Updates } from "../app/updates.ts";
import type { Role } from "../config.ts";
import { instructorServices } from "../grpc/instructors.ts";
import { intakeService } from "../grpc/intake.ts";
import { printerAdminService } from "../grpc/printer-admin.ts";
import { pollOnlyService, printerQueueService } from "../grpc/printer-queue.ts";
import { printerUpdateService, updateService } from "../grpc/updates.ts";
import { startController } from "./controller.ts";
import { resultStoreUrl } from "./result-store.ts";
import { announce, balanced, listening, processId, type Shared } from "./shared.ts";

/** [0112]: polls are cheap and say nothing worth stealing; where all else goes over TLS they may go without. */
async function servePolls({ stack, log }: Shared, address: string, service: BoundService): Promise<string> {
  const serving = serve([service], { address, credentials: serverCredentials({}), log });
  return stack.use(await listening("--poll-listen", serving)).address;
}

/** How long a front that drains waits for calls under way. */
const frontGraceMs = 3000;

/** Intake, controller and instructors share one gRPC server. */
export async function startFront(
  shared: Shared,
  plays: (role: Role) => boolean,
  ownResultUrl: string,
): Promise<{ grpcAddress: string; pollAddress: string }> {
  if (!plays("intake") && !plays("controller") && !plays("instructors"))
    return { grpcAddress: "", pollAddress: "" };
  const { config, storage, tls, log, stack, now } = shared;
  const services: BoundService[] = [];
  const executors = balanced(shared, "executors").client(ConversionService);
  if (plays("instructors")) services.push(...instructorServices(new Instructors(executors)));

  const jobs = await Jobs.open(storage.keyValue, { retentionMs: config.jobRetentionMs, now });
  const printers = await Printers.open(storage.keyValue, config.enrolmentKey, now);
  const queue = await PrintQueue.open(storage.keyValue);
  const instructions = await storage.queues.queue("instructions", { leaseMs: config.jobLeaseMs });
  const documents = await Documents.open({
    keyValue: storage.keyValue,
    blobs: storage.blobs,
    jobs,
    maxBytes: config.uploadMaxBytes,
    now,
  });
  const intake = await Intake.open({
    keyValue: storage.keyValue,
    jobs,
    documents,
    printers,
    instructions,
    retentionMs: config.jobRetentionMs,
    now,
  });
  const draining = new AbortController();
  const updates = await Updates.open(storage.keyValue, storage.blobs, now);
  if (plays("intake"))
    services.push(
      intakeService(intake, draining.signal),
      updateService(updates, config.operatorKey),
      printerAdminService(printers, jobs, config.operatorKey),
    );
  let pollAddress = "";
  if (plays("controller")) {
    const queueing = { printers, queue, executors, allowPlaintext: config.allowPlaintext, now };
    const resultUrl = resultStoreUrl(shared, ownResultUrl);
    const updating = { updates, printers, resultUrl, intervalMs: config.updateIntervalMs };
    services.push(printerQueueService(queueing), printerUpdateService(updating));
    if (config.pollListen)
      pollAddress = await servePolls(shared, config.pollListen, pollOnlyService(queueing));
  }

  const server: RunningServer = stack.use(
    await listening(
      "--listen",
      serve(services, { address: config.listen, credentials: serverCredentials(tls), log }),
    ),
  );
  shared.draining.push(() => {
    draining.abort();
    // Conversions may last: whoever instructed them comes again elsewhere, and they go on.
    return Promise.race([server.drain(), delay(frontGraceMs, undefined, { ref: false })]);
  });
  const advertised = config.advertise ?? server.address;
  if (plays("instructors")) await announce(shared, "instructors", processId(), advertised);
  if (plays("controller"))
    startController(shared, { jobs, printers, queue, documents, intake, instructions, executors });
  return { grpcAddress: advertised, pollAddress };
}

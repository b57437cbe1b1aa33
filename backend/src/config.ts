/** The configuration of the backend: one schema, parsed once, into a frozen object. */
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { hostPortWords, isHostPort, PlatenError, settingMistakes, settingWords } from "@platen/proto";
import { z } from "zod";

export const roles = ["intake", "controller", "instructors", "executor", "result-store"] as const;
export type Role = (typeof roles)[number];

export const balancingPolicies = ["round_robin", "least_loaded", "pick_first"] as const;

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const mebibyte = 1024 * 1024;

const hostPort = z.string().refine(isHostPort, hostPortWords);
const milliseconds = z.coerce.number("must be a time such as 90s, 15m, 24h or 7d").int().positive();
/** What a timer of the system can be set for, milliseconds: a longer one would go off at once. */
const timed = milliseconds.max(2 ** 31 - 1, "must be at most 24 days");
const bytes = z.coerce.number("must be a size such as 512MiB or 2GiB").int().positive();
const filePath = z.string().min(1);

/** Every setting, with its default and, as its description, what `--help` says of it. */
export const backendConfigSchema = z.strictObject({
  roles: z
    .array(z.enum(roles))
    .min(1)
    .default([...roles])
    .describe("roles that this process plays"),
  listen: hostPort.default("127.0.0.1:6310").describe("gRPC address of intake, controller and instructors"),
  advertise: hostPort
    .optional()
    .describe("gRPC address under which other machines reach this process; default: as bound"),
  pollListen: hostPort
    .optional()
    .describe("plaintext gRPC address that takes nothing but printers' polls, where the rest goes over TLS"),
  executors: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(2)
    .describe("executors in this process, each a server of its own"),
  executorListen: hostPort
    .default("127.0.0.1:0")
    .describe("gRPC address of the executors; port 0 takes any, a fixed port counts up"),
  executorAdvertiseHost: z
    .string()
    .min(1)
    .optional()
    .describe("host name under which other machines reach the executors"),
  httpListen: hostPort.default("127.0.0.1:6311").describe("HTTP address of the result store"),
  resultUrl: z
    .url({ protocol: /^https?$/, error: "must be an http or https URL" })
    .optional()
    .describe("base URL under which printers reach the result store; default: as bound"),
  balancing: z
    .enum(balancingPolicies)
    .default("round_robin")
    .describe("how single requests are spread over the executors"),

  storage: z.enum(["embedded", "nats"]).default("embedded").describe("where shared state lives"),
  dataDir: filePath
    .default("platen-data")
    .describe(
      "folder of the embedded storage, which servers on one machine may share, and of blobs kept in a shared folder",
    ),
  natsServers: z
    .array(z.string().min(1))
    .default(["127.0.0.1:4222"])
    .describe("NATS servers: host:port, nats:// or tls:// URLs"),
  natsCredentialsFile: filePath.optional().describe("NATS credentials file"),
  natsReplicas: z
    .int()
    .min(1)
    .max(5)
    .default(1)
    .describe("how many servers of the NATS cluster keep each record; more than one needs nats-server 2.11"),
  blobs: z
    .enum(["folder", "object-store"])
    .default("folder")
    .describe("with NATS storage, where documents and pages lie"),
  tempDir: filePath.default(join(tmpdir(), "platen")).describe("folder for files of work under way"),

  tlsCertFile: filePath.optional().describe("TLS certificate chain of every listener, PEM"),
  tlsKeyFile: filePath.optional().describe("its private key, PEM"),
  tlsCaFile: filePath
    .optional()
    .describe(
      "authorities that clients' and servers' certificates must come from, PEM; default: the system's, clients show none",
    ),
  allowPlaintext: z.boolean().default(false).describe("listen and call without TLS beyond the loopback"),
  enrolmentKey: z
    .string()
    .min(8)
    .optional()
    .describe(
      "key, of 8 characters at least, that a printer must know to register; without it only printers on this machine may",
    ),
  operatorKey: z
    .string()
    .min(8)
    .optional()
    .describe(
      "key, of 8 characters at least, that `platen updates` must know; without it only callers on this machine may",
    ),

  sessionTtlMs: milliseconds
    .default(48 * hour)
    .describe("a session record expires so long after its last change"),
  tokenTtlMs: milliseconds.default(24 * hour).describe("a token is good for so long"),
  jobRetentionMs: milliseconds.default(7 * 24 * hour).describe("how long the history of ended jobs is kept"),
  jobLeaseMs: timed.default(15 * second).describe("a job of a dead controller is taken over after so long"),
  executorTtlMs: timed.default(6 * second).describe("a dead executor is left out after so long"),
  cancelPatienceMs: timed
    .default(10 * second)
    .describe("a cancel is done after so long, whether the printer answers or not"),
  printerPatienceMs: milliseconds
    .default(24 * hour)
    .describe("a job is aborted when its printer has been out of reach for so long"),
  updateIntervalMs: milliseconds
    .max(24 * hour)
    .default(5 * minute)
    .describe("how often printers ask whether there is other software for them, at least once a day"),
  reapIntervalMs: timed.default(minute).describe("how often to look for what crashed jobs left"),
  reapGraceMs: milliseconds
    .default(5 * minute)
    .describe("what crashed jobs left is removed when it is so old"),

  uploadMaxBytes: bytes.default(512 * mebibyte).describe("largest upload"),
  downloadMaxBytes: bytes.default(512 * mebibyte).describe("largest download"),
  downloadTimeoutMs: timed.default(10 * minute).describe("longest download"),
  downloadAllowPrivate: z
    .boolean()
    .default(false)
    .describe("download from loopback, private and link-local addresses too"),

  renderWorkers: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(Math.max(1, availableParallelism()))
    .describe("worker processes that render pages"),
  renderOpenTimeoutMs: timed.default(30 * second).describe("longest time to open a document"),
  renderPageTimeoutMs: timed.default(minute).describe("longest time to render a page"),
  renderMemoryLimitBytes: bytes.default(2048 * mebibyte).describe("most memory of a worker process"),
});

export type BackendConfig = Readonly<z.infer<typeof backendConfigSchema>>;

/** Settings as given by a person, defaults filled in; throws `configuration` with one line a mistake, which `nameOf` names. */
export function parseBackendConfig(
  settings: z.input<typeof backendConfigSchema>,
  nameOf?: (key: string) => string,
): BackendConfig {
  const parsed = backendConfigSchema.safeParse(settings, { error: settingWords });
  if (parsed.success) return Object.freeze(parsed.data);
  throw new PlatenError("configuration", settingMistakes(parsed.error.issues, nameOf));
}

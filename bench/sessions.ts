/**
 * Latency of what a session does to its record: create, get, update, delete. Through the key-value port on both adapters,
 * and with a bare NATS KV client, in turns in one run.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect } from "nats";
import { openStorage } from "../backend/src/adapters/storage.ts";
import type { Bucket } from "../backend/src/ports/key-value.ts";
import { startNatsServer } from "../backend/src/testing/nats-server.ts";
import { barChart } from "./support/bars.ts";

/** What a session needs of a store. */
type Store = Pick<Bucket, "create" | "update" | "delete"> & { get(key: string): Promise<unknown> };
type Step = keyof Store;
const steps: readonly Step[] = ["create", "get", "update", "delete"];

/** About what a session record measures. */
const recordBytes = 512;

/** Milliseconds of each call, by step. */
type Times = Record<Step, number[]>;

async function session(store: Store, key: string, times: Times): Promise<void> {
  const record = new Uint8Array(recordBytes);
  const timed = async <T>(step: Step, call: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await call();
    times[step].push(performance.now() - start);
    return result;
  };
  const revision = await timed("create", () => store.create(key, record));
  await timed("get", () => store.get(key));
  await timed("update", () => store.update(key, record, revision));
  await timed("delete", () => store.delete(key));
}

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(q * (values.length - 1))]!;

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      sessions: { type: "string", default: "2000" },
      parallel: { type: "string", default: "1" },
      chart: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log("options: --sessions N (2000), --parallel N sessions at a time (1), --chart FILE as SVG");
    return;
  }
  const [sessions, parallel] = [Number(values.sessions), Number(values.parallel)];

  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "platen-bench-"));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const server = stack.use(await startNatsServer());
  const embedded = stack.use(await openStorage({ kind: "embedded", dataDir: join(dir, "embedded") }));
  const nats = stack.use(
    await openStorage({
      kind: "nats",
      servers: [server.url],
      blobs: { kind: "folder", dir: join(dir, "blobs") },
    }),
  );
  const connection = await connect({ servers: server.url });
  stack.defer(() => connection.close());
  const kv = await connection.jetstream().views.kv("bare", { history: 1 });

  const stores: Record<string, Store> = {
    "embedded port": await embedded.keyValue.bucket("sessions"),
    "NATS port": await nats.keyValue.bucket("sessions"),
    "bare NATS KV": {
      create: (key, value) => kv.create(key, value),
      get: (key) => kv.get(key),
      update: (key, value, revision) => kv.update(key, value, revision),
      delete: (key) => kv.delete(key),
    },
  };

  const times = new Map<string, Times>();
  const spentMs = new Map<string, number>();
  for (const name of Object.keys(stores)) times.set(name, { create: [], get: [], update: [], delete: [] });
  // In turns of a hundred, so that whatever else the machine does falls on all of them.
  const turn = Math.max(100, parallel);
  for (let done = -turn; done < sessions; done += turn) {
    for (const [name, store] of Object.entries(stores)) {
      // The first turn warms up.
      const kept = done < 0 ? { create: [], get: [], update: [], delete: [] } : times.get(name)!;
      let next = 0;
      const worker = async () => {
        while (next < turn) await session(store, `session-${done + turn}-${next++}`, kept);
      };
      const start = performance.now();
      await Promise.all(Array.from({ length: parallel }, worker));
      if (done >= 0) spentMs.set(name, (spentMs.get(name) ?? 0) + performance.now() - start);
    }
  }

  const columns = steps.map((step) => `${step} p50 / p99`.padStart(18)).join("");
  console.log(`milliseconds, ${recordBytes} bytes a record, ${parallel} session(s) at a time`);
  console.log(`${"".padEnd(14)}${columns}${"sessions/s".padStart(12)}`);
  for (const [name, byStep] of times) {
    const cells = steps.map((step) =>
      `${quantile(byStep[step], 0.5).toFixed(3)} / ${quantile(byStep[step], 0.99).toFixed(3)}`.padStart(18),
    );
    const rate = (byStep.create.length / (spentMs.get(name)! / 1000)).toFixed(0);
    console.log(`${name.padEnd(14)}${cells.join("")}${rate.padStart(12)}`);
  }
  if (values.chart !== undefined) {
    const groups = steps.map((step) => ({
      title: step,
      bars: [...times].map(([label, byStep]) => ({
        label,
        value: quantile(byStep[step], 0.5) * 1000,
        own: label !== "bare NATS KV",
      })),
    }));
    await writeFile(values.chart, barChart("A session's record, median latency", groups, "µs"));
  }
}

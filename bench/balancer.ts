/**
 * What the balancer costs, beside a bare grpc-js client in the same run, and what least loaded gains over round robin when one
 * server is four times slower. Servers run in processes of their own.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { ChannelCredentials, Client } from "@grpc/grpc-js";
import { type BalancingPolicy, connectBalanced, type Endpoint } from "@platen/balancer";
import { connect, ConversionService, PlatenError, SessionIdSchema } from "@platen/proto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Bar, barChart } from "./support/bars.ts";
import { median } from "./support/clock.ts";

const policies: readonly BalancingPolicy[] = ["pick_first", "round_robin", "least_loaded"];
const plaintext = ChannelCredentials.createInsecure();

type Call = () => Promise<{ executorId: string }>;

async function startServer(id: string, delayMs = 0): Promise<Endpoint & Disposable> {
  const child = fork(new URL("balancer/server.ts", import.meta.url), [id, String(delayMs)]);
  const [{ address }] = (await once(child, "message")) as [{ address: string }];
  return { id, address, [Symbol.dispose]: () => child.disconnect() };
}

function balanced(endpoints: readonly Endpoint[], policy: BalancingPolicy) {
  const directory = {
    async *watch(_service: string, signal: AbortSignal) {
      yield endpoints;
      if (!signal.aborted) await once(signal, "abort");
    },
  };
  return connectBalanced("executors", { directory, policy, credentials: plaintext });
}

const session = create(SessionIdSchema, { jobId: "job", printerId: "printer" });
let requests = 0;
const request = () => ({ requestId: `request-${requests++}`, session, identificationId: "id" });

/** The same unary call with grpc-js alone. */
function bareCall(client: Client): Call {
  const { input, output, name } = ConversionService.method.complete;
  const path = `/${ConversionService.typeName}/${name}`;
  const serialize = (message: ReturnType<typeof request>) =>
    Buffer.from(toBinary(input, create(input, message)));
  const deserialize = (bytes: Buffer) => fromBinary(output, bytes);
  return () =>
    new Promise((resolve, reject) =>
      client.makeUnaryRequest(path, serialize, deserialize, request(), (error, answer) =>
        error ? reject(error) : resolve(answer!),
      ),
    );
}

interface Round {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of this process a call: what is left to compare on a busy machine. */
  readonly cpuUs: number;
  /** Calls by server. */
  readonly counts: ReadonlyMap<string, number>;
  readonly totalMs: number;
}

/** `calls` calls by `callers` callers, each with one at a time. */
async function round(call: Call, calls: number, callers: number): Promise<Round> {
  const latenciesMs: number[] = [];
  const counts = new Map<string, number>();
  let left = calls;
  const startedCpu = process.cpuUsage();
  const startedMs = performance.now();
  const caller = async () => {
    while (left-- > 0) {
      const beganMs = performance.now();
      const { executorId } = await call();
      latenciesMs.push(performance.now() - beganMs);
      counts.set(executorId, (counts.get(executorId) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const totalMs = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(startedCpu);
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number) => latenciesMs[Math.min(calls - 1, Math.floor(calls * share))]!;
  return {
    perSecond: (calls / totalMs) * 1000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuUs: (user + system) / calls,
    counts,
    totalMs,
  };
}

/** Calls until all servers are connected. */
async function warmUp(call: Call, servers: number): Promise<void> {
  const seen = new Set<string>();
  while (seen.size < servers) seen.add((await call()).executorId);
}

/** Resolves to the requests a second of each contender. */
async function overhead(calls: number, callers: number, rounds: number): Promise<Bar[]> {
  using a = await startServer("a");
  using b = await startServer("b");
  using resources = new DisposableStack();
  const bare = resources.adopt(new Client(a.address, plaintext), (client) => client.close());
  const direct = resources.use(connect(a.address, plaintext)).client(ConversionService);
  const contenders: [string, Call][] = [
    ["grpc-js, one server", bareCall(bare)],
    ["binding, one server", () => direct.complete(request())],
  ];
  for (const policy of policies) {
    const client = resources.use(balanced([a, b], policy)).client(ConversionService);
    const call = () => client.complete(request());
    await warmUp(call, policy === "pick_first" ? 1 : 2);
    contenders.push([`${policy}, two servers`, call]);
  }
  for (const [, call] of contenders) await round(call, calls, callers);
  const results = contenders.map((): Round[] => []);
  for (let i = 0; i < rounds; i++) {
    for (const [index, [, call]] of contenders.entries()) {
      results[index]!.push(await round(call, calls, callers));
    }
  }
  const reference = median(results[0]!.map(({ perSecond }) => perSecond));
  console.log(`Small unary calls, ${callers} callers, medians of ${rounds} interleaved rounds of ${calls}:`);
  console.table(
    Object.fromEntries(
      contenders.map(([name], index) => {
        const of = (value: (round: Round) => number) => median(results[index]!.map(value));
        const perSecond = of((r) => r.perSecond);
        return [
          name,
          {
            "requests/s": Math.round(perSecond),
            "of grpc-js": `${((perSecond / reference) * 100).toFixed(0)} %`,
            "p50 ms": Number(of((r) => r.p50Ms).toFixed(2)),
            "p99 ms": Number(of((r) => r.p99Ms).toFixed(2)),
            "client CPU µs": Math.round(of((r) => r.cpuUs)),
          },
        ];
      }),
    ),
  );
  return contenders.map(([label], index) => ({
    label,
    value: median(results[index]!.map(({ perSecond }) => perSecond)),
    own: index > 0,
  }));
}

/** Resolves to what each policy asked of the slow server. */
async function uneven(calls: number, callers: number, delayMs: number): Promise<Bar[]> {
  using slow = await startServer("slow", 4 * delayMs);
  using b = await startServer("b", delayMs);
  using c = await startServer("c", delayMs);
  console.log(`${calls} calls by ${callers} callers, of ${delayMs} ms, on one server ${4 * delayMs} ms:`);
  const rows: Record<string, object> = {};
  const bars: Bar[] = [];
  for (const policy of policies.filter((policy) => policy !== "pick_first")) {
    using connection = balanced([slow, b, c], policy);
    const client = connection.client(ConversionService);
    const call = () => client.complete(request());
    await warmUp(call, 3);
    const { counts, totalMs } = await round(call, calls, callers);
    const ofServers = Object.fromEntries([slow, b, c].map(({ id }) => [id, counts.get(id) ?? 0]));
    bars.push({ label: policy, value: counts.get("slow") ?? 0, own: true });
    rows[policy] = { ...ofServers, "total ms": Math.round(totalMs) };
  }
  console.table(rows);
  return bars;
}

/** `--calls 2000 --callers 16 --rounds 7 --delay-ms 10 --chart FILE` */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      calls: { type: "string", default: "2000" },
      callers: { type: "string", default: "16" },
      rounds: { type: "string", default: "7" },
      "delay-ms": { type: "string", default: "10" },
      chart: { type: "string" },
    },
  });
  const [calls, callers, rounds, delayMs] = [
    values.calls,
    values.callers,
    values.rounds,
    values["delay-ms"],
  ].map((text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1) {
      throw new PlatenError("invalid-argument", `${text} is no count: give a whole number from 1`);
    }
    return value;
  }) as [number, number, number, number];
  const rates = await overhead(calls, callers, rounds);
  const asked = await uneven(600, 12, delayMs);
  if (values.chart === undefined) return;
  const groups = [
    { title: "small unary calls a second", bars: rates },
    { title: "of 600 calls, asked of the one server of three that is four times slower", bars: asked },
  ];
  await writeFile(values.chart, barChart("Balancing, beside a direct call", groups, ""));
}

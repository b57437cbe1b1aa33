/** Prints a job with a `platen-printer` of its own, and says what it took. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { create } from "@bufbuild/protobuf";
import { JobState, PrintInstructionSchema } from "@platen/proto";
import type { ServedPage } from "../../firmware-node/src/testing/pages.ts";
import { startResultServer, testToken } from "../../firmware-node/src/testing/result-server.ts";
import { TestBackend } from "../../firmware-node/src/testing/test-backend.ts";
import { end, statOf } from "../support/processes.ts";

const root = join(import.meta.dirname, "..", "..");

export interface Printing {
  readonly pages: readonly ServedPage[];
  /** `serial`: an engine in a process of its own, which takes all that comes (engine.ts). */
  readonly sink: "png" | "sim" | "serial";
  /** Speed of the line to the engine, bit/s. Default: it takes no time. */
  readonly baudRateBps?: number;
  /** The one core that all threads of the printer share. Default: as many as there are. */
  readonly onCore?: number;
  /** Measure a second job, when programs are compiled and memory has been taken. Default: the first. */
  readonly warm?: boolean;
}

/** Threads of the printer by what they do, named as the system knows them. */
const stageOf: Readonly<Record<string, keyof Stages>> = {
  "libuv-worker": "decode",
  "libvips worker": "decode",
  halftone: "dots",
  packing: "pack",
  MainThread: "main",
};

/** CPU seconds of a job, by stage. */
export interface Stages {
  /** JPEG and PNG, on the thread pool; writing of files too. */
  readonly decode: number;
  /** Colour and halftone. */
  readonly dots: number;
  /** Codecs of the engine link. */
  readonly pack: number;
  /** Fetching, framing, sending, and whatever holds the stages together. */
  readonly main: number;
  /** V8's own threads: garbage, compilation. */
  readonly rest: number;
}

export interface Taken {
  /** Resident before the first job. */
  readonly idleMiB: number;
  /** Most resident (VmHWM), of the whole process. */
  readonly peakMiB: number;
  /** From the job's offer to its end. */
  readonly wallS: number;
  /** From the job's offer until its first sheet is stacked. */
  readonly firstS: number;
  /** What went over the line for the job; 0 without one. */
  readonly lineBytes: number;
  /** Of all threads, for the job. */
  readonly cpuS: number;
  readonly stages: Stages;
  /** How much of the machine's cores was at work during the job, by whomever: 1 is all. */
  readonly busyShare: number;
}

/** What the board's service gives the printer, and nothing of what this process was given. */
async function boardEnvironment(): Promise<Record<string, string>> {
  const unit = await readFile(
    join(root, "hw/flash/board/root/usr/lib/systemd/system/platen.service"),
    "utf8",
  );
  const variables = [...unit.matchAll(/^Environment=(.*)$/gm)]
    .flatMap(([, line]) => line!.match(/"[^"]*"|\S+/g) ?? [])
    .map((one) => one.replaceAll('"', "").split(/=(.*)/s, 2) as [string, string]);
  return { PATH: process.env.PATH ?? "", ...Object.fromEntries(variables) };
}

async function memoryOf(pid: number): Promise<{ nowMiB: number; mostMiB: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { nowMiB: field("VmRSS"), mostMiB: field("VmHWM") };
}

async function stagesOf(pid: number): Promise<Stages> {
  const stages = { decode: 0, dots: 0, pack: 0, main: 0, rest: 0 };
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const { name, cpuS } = await statOf(`/proc/${pid}/task/${thread}`);
    stages[stageOf[name] ?? "rest"] += cpuS;
  }
  return stages;
}

/** Milliseconds of all cores so far: idle, and in all. */
function coreTimes(): { idleMs: number; allMs: number } {
  const times = cpus().map((core) => core.times);
  const sum = (values: readonly number[]): number => values.reduce((total, one) => total + one, 0);
  return {
    idleMs: sum(times.map(({ idle }) => idle)),
    allMs: sum(times.flatMap((one) => Object.values(one))),
  };
}

export const stageNames = ["decode", "dots", "pack", "main", "rest"] as const;

const difference = (after: Stages, before: Stages): Stages => ({
  decode: after.decode - before.decode,
  dots: after.dots - before.dots,
  pack: after.pack - before.pack,
  main: after.main - before.main,
  rest: after.rest - before.rest,
});

interface Sink {
  /** For `--sink`. */
  readonly address: string;
  /** That went over the line so far. */
  lineBytes(): number;
}

/** The engine at the end of a line. Resolves when it is there. */
async function serialSink(
  folder: string,
  baudRateBps: number | undefined,
  made: AsyncDisposableStack,
): Promise<Sink> {
  const path = join(folder, "engine");
  const program = join(import.meta.dirname, "engine.ts");
  const speed = baudRateBps === undefined ? [] : [String(baudRateBps)];
  const child = spawn(process.execPath, [program, path, ...speed], { stdio: ["ignore", "pipe", "inherit"] });
  made.defer(() => end(child));
  const lines = createInterface(child.stdout);
  await once(lines, "line");
  let bytes = 0;
  lines.on("line", (line) => (bytes = Number(line)));
  return { address: `serial:${path}`, lineBytes: () => bytes };
}

/** `program` is the `platen-printer` command, a source or a bundle. Throws when the job does not print. */
export async function printInProcess(
  program: string,
  { pages, sink: kind, baudRateBps, onCore, warm = false }: Printing,
): Promise<Taken> {
  await using made = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "platen-bench-"));
  made.defer(() => rm(folder, { recursive: true, force: true }));
  const mediaHeightUm = Math.ceil((Math.max(...pages.map(({ heightPx }) => heightPx)) * 25_400) / 600);
  const results = made.use(await startResultServer({ pages, resolutionDpi: 600, mediaHeightUm }));
  const backend = made.use(new TestBackend());
  const sinks = {
    png: () => ({ address: `png:${join(folder, "sheets")}`, lineBytes: () => 0 }),
    sim: () => ({ address: "sim:", lineBytes: () => 0 }),
    serial: () => serialSink(folder, baudRateBps, made),
  };
  const sink: Sink = await sinks[kind]();
  const args = [
    program,
    "--json",
    "--printer-id=printer-1",
    `--backend=${await backend.listen()}`,
    `--sink=${sink.address}`,
    `--state-dir=${folder}`,
  ];
  const env = await boardEnvironment();
  const command =
    onCore === undefined
      ? [process.execPath, ...args]
      : ["taskset", "--cpu-list", String(onCore), process.execPath, ...args];
  const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "ignore", "inherit"], env });
  made.defer(() => end(child));
  const pid = child.pid!;
  const gone = once(child, "exit").then(([code]) =>
    Promise.reject(new Error(`the printer ended with ${code}`)),
  );
  gone.catch(() => {});
  await Promise.race([gone, backend.until(() => backend.registrations.length > 0)]);
  const idle = await memoryOf(pid);
  /** Resolves to when the first sheet was stacked. */
  const print = async (jobId: string): Promise<number> => {
    backend.offer(
      create(PrintInstructionSchema, {
        session: { jobId, printerId: "printer-1" },
        metafileUrl: results.metafileUrl(jobId),
        token: testToken,
      }),
    );
    const ended = ({ state }: { state: JobState }) => state >= JobState.CANCELED;
    await Promise.race([gone, backend.reported(jobId, (one) => one.mediaSheetsCompleted > 0 || ended(one))]);
    const firstMs = performance.now();
    const { state, message } = await Promise.race([gone, backend.reported(jobId, ended)]);
    if (state !== JobState.COMPLETED) throw new Error(`the job did not print: ${message}`);
    return firstMs;
  };
  if (warm) await print("job-0");
  const [startedMs, before, bytesBefore] = [performance.now(), await stagesOf(pid), sink.lineBytes()];
  const coresBefore = coreTimes();
  const firstMs = await print("job-1");
  const cores = coreTimes();
  const wallS = (performance.now() - startedMs) / 1000;
  const stages = difference(await stagesOf(pid), before);
  return {
    idleMiB: idle.nowMiB,
    peakMiB: (await memoryOf(pid)).mostMiB,
    wallS,
    firstS: (firstMs - startedMs) / 1000,
    lineBytes: sink.lineBytes() - bytesBefore,
    cpuS: Object.values(stages).reduce((sum: number, one: number) => sum + one, 0),
    stages,
    busyShare: 1 - (cores.idleMs - coresBefore.idleMs) / (cores.allMs - coresBefore.allMs),
  };
}

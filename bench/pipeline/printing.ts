/** Prints one page with a `platen-printer` of its own, and says what it took. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { JobState, PrintInstructionSchema } from "@platen/proto";
import type { ServedPage } from "../../firmware-node/src/testing/pages.ts";
import { startResultServer, testToken } from "../../firmware-node/src/testing/result-server.ts";
import { TestBackend } from "../../firmware-node/src/testing/test-backend.ts";

export interface Printing {
  readonly page: ServedPage;
  readonly sink: "png" | "sim";
}

export interface Taken {
  /** Resident before the first job. */
  readonly idleMiB: number;
  /** Most resident (VmHWM), of the whole process. */
  readonly peakMiB: number;
  /** From the job's offer to its end. */
  readonly wallS: number;
  /** Of all threads, for the job. */
  readonly cpuS: number;
}

/** Clock ticks of /proc, a second: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

async function memoryOf(pid: number): Promise<{ nowMiB: number; mostMiB: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { nowMiB: field("VmRSS"), mostMiB: field("VmHWM") };
}

async function cpuSecondsOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** `program` is the `platen-printer` command, a source or a bundle. Throws when the page does not print. */
export async function printInProcess(program: string, { page, sink }: Printing): Promise<Taken> {
  await using made = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "platen-bench-"));
  made.defer(() => rm(folder, { recursive: true, force: true }));
  const mediaHeightUm = Math.ceil((page.heightPx * 25_400) / 600);
  const results = made.use(await startResultServer({ pages: [page], resolutionDpi: 600, mediaHeightUm }));
  const backend = made.use(new TestBackend());
  const args = [
    program,
    "--json",
    "--printer-id=printer-1",
    `--backend=${await backend.listen()}`,
    `--sink=${sink}:${sink === "png" ? join(folder, "sheets") : ""}`,
    `--state-dir=${folder}`,
  ];
  // As the board has it.
  const env = { ...process.env, MALLOC_ARENA_MAX: "1", UV_THREADPOOL_SIZE: "4" };
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], env });
  made.defer(async () => {
    if (child.exitCode === null && child.kill()) await once(child, "exit");
  });
  const pid = child.pid!;
  await backend.until(() => backend.registrations.length > 0);
  const idle = await memoryOf(pid);
  const [startedMs, cpuBeforeS] = [performance.now(), await cpuSecondsOf(pid)];
  backend.offer(
    create(PrintInstructionSchema, {
      session: { jobId: "job-1", printerId: "printer-1" },
      metafileUrl: results.metafileUrl("job-1"),
      token: testToken,
    }),
  );
  const { state, message } = await backend.reported("job-1", ({ state }) => state >= JobState.CANCELED);
  if (state !== JobState.COMPLETED) throw new Error(`the page did not print: ${message}`);
  return {
    idleMiB: idle.nowMiB,
    peakMiB: (await memoryOf(pid)).mostMiB,
    wallS: (performance.now() - startedMs) / 1000,
    cpuS: (await cpuSecondsOf(pid)) - cpuBeforeS,
  };
}

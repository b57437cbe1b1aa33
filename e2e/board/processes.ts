/** Programs of the project as processes, as a maker runs them. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const repository = join(import.meta.dirname, "../..");

/** What a person has set for printers and servers of their own is not meant for these. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PLATEN_")));

export interface Said {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of the repository to its end. Throws when it fails, with all that it said. */
export function runProgram(
  script: string,
  args: readonly string[],
  { env = {}, signal }: { env?: NodeJS.ProcessEnv; signal?: AbortSignal } = {},
): Promise<Said> {
  const options = { env: { ...environment(), ...env }, maxBuffer: 1 << 26, ...(signal && { signal }) };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [join(repository, script), ...args], options, (error, stdout, stderr) => {
      if (error)
        reject(new Error(`${script} ${args.join(" ")} failed: ${stderr || stdout || error.message}`));
      else resolve({ stdout, stderr });
    });
  });
}

export interface RunningProgram extends AsyncDisposable {
  readonly process: ChildProcess;
  /** The first line of its standard output that is wanted. */
  line(isIt: (line: string) => boolean): Promise<string>;
}

/** Starts a program of the repository. Disposing ends it. */
export function startProgram(
  script: string,
  args: readonly string[],
  { env = {}, onLine }: { env?: NodeJS.ProcessEnv; onLine?: (line: string) => void } = {},
): RunningProgram {
  const child = spawn(process.execPath, [join(repository, script), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...environment(), ...env },
    // Ctrl-C is for the one who asked for all this, who ends its processes in order.
    detached: true,
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const exited = once(child, "exit").finally(() => process.off("exit", kill));
  exited.catch(() => {});
  const lines: string[] = [];
  const wanted = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      onLine?.(line);
      for (const look of wanted) look();
    });
  }
  return {
    process: child,
    line(isIt) {
      const found = Promise.withResolvers<string>();
      const look = () => {
        const line = lines.find(isIt);
        if (line !== undefined) found.resolve(line);
      };
      wanted.add(look);
      look();
      const ended = exited.then(() =>
        Promise.reject(new Error(`${script} ended: ${lines.slice(-5).join("; ")}`)),
      );
      return Promise.race([found.promise, ended]).finally(() => wanted.delete(look));
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const force = setTimeout(kill, 10_000);
      await exited.catch(() => {});
      clearTimeout(force);
    },
  };
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

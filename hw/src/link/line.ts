/** Where bytes go and come from: a serial port, a process, a pair of pseudo-terminals. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

export interface Line extends AsyncDisposable {
  /** Takes the bytes over; they go out in order. */
  write(bytes: Uint8Array): void;
  /** Call the result to stop listening. */
  onBytes(listener: (bytes: Uint8Array) => void): () => void;
  /** Resolves when the other end is gone. */
  readonly closed: Promise<void>;
}

/** A process that speaks on its standard input and output; it is ended with the line. */
export async function processLine(command: string, args: readonly string[]): Promise<Line & { pid: number }> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  await once(child, "spawn");
  const exited = once(child, "exit");
  // The process may be gone before the last bytes are written; `closed` tells.
  child.stdin.on("error", () => {});
  return {
    pid: child.pid!,
    closed: exited.then(() => {}),
    write: (bytes) => void child.stdin.write(bytes),
    onBytes(listener) {
      child.stdout.on("data", listener);
      return () => child.stdout.off("data", listener);
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill();
      await exited;
    },
  };
}

/**
 * A pseudo-terminal at `path`, which others open as a serial port; this end is the line. Needs socat. The kernel's line
 * discipline is off, so that all byte values pass.
 */
export async function ptyLine(path: string): Promise<Line> {
  const line = await processLine("socat", [`PTY,link=${path},rawer`, "STDIO"]);
  for (;;) {
    try {
      await access(path);
      return line;
    } catch {
      await Promise.race([delay(10), line.closed.then(() => Promise.reject(new Error("socat ended")))]);
    }
  }
}

/** Where bytes go and come from: a serial port, a process, a pair of pseudo-terminals. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

export interface Line extends AsyncDisposable {
  /** Takes the bytes over; they go out in order. */
  write(bytes: Uint8Array): void;
  /** Call the result to stop listening. */
  onBytes(listener: (bytes: Uint8Array) => void): () => void;
  /** Resolves when the other end is gone. */
  readonly closed: Promise<void>;
}

export interface ProcessLine extends Line {
  readonly pid: number;
  /** Writes to the process's descriptor 3, a socket, where it may have a panel. */
  press(keys: string): void;
}

/** A process that speaks on its standard input and output; it is ended with the line. */
export async function processLine(command: string, args: readonly string[]): Promise<ProcessLine> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit", "pipe"] });
  await once(child, "spawn");
  const exited = once(child, "exit");
  const { stdin, stdout } = child as ChildProcessByStdio<Writable, Readable, null>;
  const panel = child.stdio[3] as Writable;
  // The process may be gone before the last bytes are written; `closed` tells.
  stdin.on("error", () => {});
  panel.on("error", () => {});
  return {
    pid: child.pid!,
    press: (keys) => void panel.write(keys),
    closed: exited.then(() => {}),
    write: (bytes) => void stdin.write(bytes),
    onBytes(listener) {
      stdout.on("data", listener);
      return () => stdout.off("data", listener);
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

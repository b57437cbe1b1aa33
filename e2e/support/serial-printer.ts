/** A printer as it is on a desk: the controller's own process, and an engine at the other end of a serial line. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Line, ptyLine } from "@platen/hw/link";
import type { TestSystem } from "./system.ts";

const main = fileURLToPath(new URL("../../firmware-node/src/main.ts", import.meta.url));

/** A cable that can be pulled out, and put back under another name: the port is found by the USB device behind it. */
export interface Cable extends Line {
  /** What `--sink` is told. */
  readonly sink: string;
  /** Of the controller: its `udevadm` knows of this cable alone. */
  readonly environment: NodeJS.ProcessEnv;
  pull(): Promise<void>;
  plugIn(): Promise<void>;
}

export async function usbCable(): Promise<Cable> {
  const folder = await mkdtemp(join(tmpdir(), "platen-usb-"));
  const database = join(folder, "database");
  await writeFile(join(folder, "udevadm"), `#!/bin/sh\nexec cat '${database}'\n`);
  await chmod(join(folder, "udevadm"), 0o755);
  const listeners = new Set<(bytes: Uint8Array) => void>();
  const disposed = Promise.withResolvers<void>();
  let line: Line | undefined;
  let plugged = 0;
  const pull = async (): Promise<void> => {
    const pulled = line;
    line = undefined;
    await writeFile(database, "");
    await pulled?.[Symbol.asyncDispose]();
  };
  const plugIn = async (): Promise<void> => {
    const path = join(folder, `ttyUSB${plugged++}`);
    const plain = await ptyLine(path);
    plain.onBytes((bytes) => listeners.forEach((listener) => listener(bytes)));
    line = plain;
    await writeFile(
      database,
      `P: /devices/usb1\nN: ttyUSB\nE: DEVNAME=${path}\nE: ID_VENDOR_ID=0403\nE: ID_MODEL_ID=6001\n\n`,
    );
  };
  await plugIn();
  return {
    sink: "serial:usb-0403-6001?wait-s=30",
    environment: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
    closed: disposed.promise,
    pull,
    plugIn,
    write: (bytes) => line?.write(bytes),
    onBytes(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async [Symbol.asyncDispose]() {
      await pull();
      await rm(folder, { recursive: true });
      disposed.resolve();
    },
  };
}

export interface SerialPrinter extends AsyncDisposable {
  readonly printerId: string;
  /** SIGKILL, as a power cut. */
  kill(): Promise<void>;
  /** Again, with what it remembers. */
  start(): Promise<void>;
}

/** `platen-printer` on this cable; the engine must be there. Resolves when the backend knows it. */
export async function serialPrinter(
  system: TestSystem,
  cable: Cable,
  printerId: string,
  ...args: string[]
): Promise<SerialPrinter> {
  const stateDir = await mkdtemp(join(tmpdir(), "platen-controller-"));
  let child: ChildProcess | undefined;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child;
    child = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const exited = once(ending, "exit");
    ending.kill(signal);
    await exited;
  };
  const start = async (): Promise<void> => {
    const told = ["--printer-id", printerId, "--backend", system.controllerAddress, "--state-dir", stateDir];
    const started = spawn(
      process.execPath,
      [main, ...told, "--sink", cable.sink, "--resolution", "300", ...args],
      { stdio: ["ignore", "pipe", "inherit"], env: cable.environment },
    );
    child = started;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    createInterface({ input: started.stdout }).on("line", (line) => {
      if (line.includes("registered")) resolve();
    });
    started.once("exit", (code) => reject(new Error(`platen-printer ended with ${code}`)));
    await promise;
  };
  await start();
  return {
    printerId,
    kill: () => end("SIGKILL"),
    start,
    async [Symbol.asyncDispose]() {
      await end("SIGTERM");
      await rm(stateDir, { recursive: true });
    },
  };
}

/**
 * An emulated board: the card's image in QEMU, with an engine on a USB serial adaptor that can be pulled out and put back.
 * From U-Boot on all comes from the card, as on a board, where the board's own firmware starts U-Boot. The host is 10.0.2.2 in
 * there.
 */
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { PlatenError } from "@platen/proto";
import { emulatedUBoot, requirePrograms, run } from "./command.ts";
import { Qmp } from "./qmp.ts";
import { argumentsProperty, forUBoot } from "./u-boot.ts";
import { requireImage } from "./write.ts";

export interface BoardOptions {
  /** The card's image. It is written to, as a card is, unless `throwAway`. */
  readonly image: string;
  /** What is written to the card is forgotten at the end. */
  readonly throwAway?: boolean;
  /** A Unix socket that an engine listens on; undefined leaves the adaptor out. */
  readonly engineSocket?: string | undefined;
  /** The adaptor is not put in yet: see `plug`. */
  readonly unplugged?: boolean;
  /** As the smallest board that is supported by default, MiB. */
  readonly memoryMib?: number;
  readonly cpus?: number;
  /** What the clock stands at when it is switched on, as QEMU's `-rtc base=` takes it; default: the right time. */
  readonly clock?: string | undefined;
  /** More settings for the kernel. */
  readonly kernel?: readonly string[];
  /** The board has a watchdog. Not by default: a machine that does much else starves what is to feed it. */
  readonly watchdog?: boolean;
  /** A root shell on the console, which `type` writes to. It is asked for on the kernel's command line; no image has it on. */
  readonly shell?: boolean;
  /** Where all that the console says goes. */
  readonly log?: string | undefined;
  readonly onLine?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const engineId = "engine";

/** A board that is on. Disposing cuts its power. */
export class EmulatedBoard implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #child: ReturnType<typeof spawn>;
  readonly #qmp: Qmp;
  readonly #engineSocket: string | undefined;
  readonly #lines: string[];
  readonly #arrived: Set<() => void>;
  /** Resolves when the machine has ended, however it did. */
  readonly ended: Promise<void>;
  #plugs = 0;

  private constructor(parts: {
    stack: AsyncDisposableStack;
    child: ReturnType<typeof spawn>;
    qmp: Qmp;
    ended: Promise<void>;
    engineSocket: string | undefined;
    lines: string[];
    arrived: Set<() => void>;
  }) {
    this.#stack = parts.stack;
    this.#child = parts.child;
    this.#qmp = parts.qmp;
    this.ended = parts.ended;
    this.#engineSocket = parts.engineSocket;
    this.#lines = parts.lines;
    this.#arrived = parts.arrived;
  }

  /** Switches a board on. Throws `configuration` when QEMU is missing, `invalid-argument` when the image is none. */
  static async start(options: BoardOptions): Promise<EmulatedBoard> {
    await requireImage(options.image);
    await requirePrograms(["qemu-system-aarch64", emulatedUBoot]);
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "platen-board-"));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const tree = await deviceTree(options, folder);
    const qmpSocket = join(folder, "qmp");
    const child = spawn("qemu-system-aarch64", argumentsOf(options, { tree, qmpSocket }), {
      stdio: ["pipe", "pipe", "pipe"],
    });
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const kill = () => child.kill("SIGKILL");
    // No machine is left behind, however this program ends.
    process.once("exit", kill);
    stack.defer(async () => {
      process.off("exit", kill);
      kill();
      await ended;
    });
    const lines: string[] = [];
    const arrived = new Set<() => void>();
    const log = options.log === undefined ? undefined : createWriteStream(options.log);
    if (log) stack.defer(() => void log.end());
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (raw) => {
        const line = stripVTControlCharacters(raw).replaceAll("\r", "");
        lines.push(line);
        log?.write(`${line}\n`);
        options.onLine?.(line);
        for (const wake of arrived) wake();
      });
    }
    let failure: Error | undefined;
    child.once("error", (error) => {
      failure = error;
    });
    let qmp: Qmp | undefined;
    while (!(qmp = await connected(qmpSocket))) {
      if (failure || child.exitCode !== null || child.signalCode !== null) {
        throw new PlatenError(
          "configuration",
          `QEMU does not start: ${failure?.message ?? lines.join("\n")}`,
        );
      }
      await sleep(50, undefined, { ...(options.signal && { signal: options.signal }) });
    }
    stack.use(qmp);
    const board = new EmulatedBoard({
      stack: stack.move(),
      child,
      qmp,
      ended,
      engineSocket: options.engineSocket,
      lines,
      arrived,
    });
    try {
      if (options.engineSocket !== undefined && !options.unplugged) await board.plug();
      await qmp.execute("cont");
      return board;
    } catch (error) {
      await board[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** QEMU's process. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** All that the console has said so far. */
  get console(): readonly string[] {
    return this.#lines;
  }

  /** Resolves to the first line of the console, from line `from` on, that matches. Throws `unavailable` when the board ends. */
  async line(
    pattern: RegExp,
    { from = 0, signal }: { from?: number; signal?: AbortSignal } = {},
  ): Promise<string> {
    let isOver = false;
    const over = this.ended.then(() => {
      isOver = true;
    });
    for (let next = from; ; ) {
      for (; next < this.#lines.length; next++)
        if (pattern.test(this.#lines[next]!)) return this.#lines[next]!;
      if (isOver) {
        throw new PlatenError(
          "unavailable",
          `the board ended before it said ${pattern}:\n${this.#lines.slice(-20).join("\n")}`,
        );
      }
      signal?.throwIfAborted();
      const more = Promise.withResolvers<void>();
      this.#arrived.add(more.resolve);
      signal?.addEventListener("abort", more.resolve as () => void);
      await Promise.race([more.promise, over]);
      this.#arrived.delete(more.resolve);
      signal?.removeEventListener("abort", more.resolve as () => void);
    }
  }

  /** Types a line on the console: see `shell`. */
  type(text: string): void {
    this.#child.stdin?.write(`${text}\n`);
  }

  /** Resolves when the console's shell answers. Its prompt cannot be waited for: it ends no line. */
  async shellReady(signal?: AbortSignal): Promise<void> {
    const answered = this.line(/^shell-ready/, { from: this.#lines.length, ...(signal && { signal }) });
    const isAnswered = answered.then(() => true);
    do this.type('echo shell-""ready');
    while (!(await Promise.race([isAnswered, sleep(1000, false)])));
    // What was typed before it answered is said too.
    await this.command("stty -echo; bind 'set enable-bracketed-paste off'; PS1=", signal);
  }

  /** Runs a command in the console's shell, once it is ready. Resolves to what it wrote, once it has ended. */
  async command(text: string, signal?: AbortSignal): Promise<string[]> {
    const mark = `mark-${this.#lines.length}-${Math.random().toString(36).slice(2)}`;
    const from = this.#lines.length;
    // In two parts, so that the echo of the line does not look like its end.
    this.type(`${text}; echo ${mark.slice(0, 5)}""${mark.slice(5)}`);
    await this.line(new RegExp(`^${mark}`), { from, ...(signal && { signal }) });
    const said = this.#lines.slice(from);
    return said.slice(
      said.findIndex((line) => line.includes(`""${mark.slice(5)}`)) + 1,
      said.findLastIndex((line) => line.startsWith(mark)),
    );
  }

  /** Puts the adaptor in. */
  async plug(): Promise<void> {
    const path = this.#engineSocket;
    if (path === undefined)
      throw new PlatenError("invalid-argument", "this board was started without an engine");
    this.#plugs++;
    const id = `${engineId}-line-${this.#plugs}`;
    const addr = { type: "unix", data: { path } };
    await this.#qmp.execute("chardev-add", {
      id,
      backend: { type: "socket", data: { addr, server: false } },
    });
    await this.#qmp.execute("device_add", {
      driver: "usb-serial",
      id: engineId,
      chardev: id,
      "always-plugged": true,
    });
  }

  /** Pulls the adaptor out, as a hand would. */
  async unplug(): Promise<void> {
    const gone = this.#qmp.event("DEVICE_DELETED", ({ device }) => device === engineId);
    gone.catch(() => {});
    await this.#qmp.execute("device_del", { id: engineId });
    await gone;
    await this.#qmp.execute("chardev-remove", { id: `${engineId}-line-${this.#plugs}` });
  }

  /** Presses the power button: the board shuts down in order. */
  async powerDown(): Promise<void> {
    await this.#qmp.execute("system_powerdown");
    await this.ended;
  }

  /** Cuts the power. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Undefined as long as nobody listens on the socket yet. */
const connected = (path: string): Promise<Qmp | undefined> =>
  Qmp.connect(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ECONNREFUSED") return undefined;
    throw error;
  });

/** The machine's hardware, as QEMU takes it from a shell; what may hold spaces or commas comes apart. */
const machineOf = (options: BoardOptions): string =>
  `-nodefaults -no-user-config -display none -cpu cortex-a53 -accel tcg,thread=multi -smp ${options.cpus ?? 2} ` +
  `-m ${options.memoryMib ?? 512} -netdev user,id=net -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci ` +
  `-device qemu-xhci${options.watchdog ? " -device i6300esb" : ""}`;

/** Without ACPI its power button and all else are in the device tree, as on a board. */
const kind = "virt,gic-version=3,acpi=off";

/** The machine's device tree, with what is asked of the kernel beyond what is on the card. Resolves to its file. */
async function deviceTree(options: BoardOptions, folder: string): Promise<string> {
  const [plain, file] = [join(folder, "plain.dtb"), join(folder, "machine.dtb")];
  const dump = ["-machine", `${kind},dumpdtb=${plain}`, ...machineOf(options).split(" ")];
  await run("qemu-system-aarch64", dump, { signal: options.signal });
  const shell = options.shell ? ["systemd.debug_shell=ttyAMA0"] : [];
  const more = ["console=ttyAMA0", ...shell, ...(options.kernel ?? [])].join(" ");
  await writeFile(file, forUBoot(await readFile(plain), { [argumentsProperty]: more }));
  return file;
}

function argumentsOf(options: BoardOptions, files: { tree: string; qmpSocket: string }): string[] {
  const plain = `-S -serial stdio -rtc base=${options.clock ?? "utc"} ${machineOf(options)} -device virtio-blk-pci,drive=card`;
  const file = options.image.replaceAll(",", ",,");
  const snapshot = options.throwAway ? "on" : "off";
  return [
    "-machine",
    kind,
    ...plain.split(" "),
    "-bios",
    emulatedUBoot,
    "-dtb",
    files.tree,
    "-drive",
    `if=none,id=card,format=raw,file=${file},snapshot=${snapshot}`,
    "-qmp",
    `unix:${files.qmpSocket},server=on,wait=off`,
  ];
}

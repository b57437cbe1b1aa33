/**
 * The board's side of provisioning, run as root before the network at each start. Settings that lie on the boot partition are
 * checked and taken over; the system is set up after those that the board has; then their secrets are wiped from the boot partition.
 * A power cut at any moment is made good by the next start: the file is wiped only once its contents are safe. What goes wrong is
 * said in the log, and keeps nothing else from being done.
 */
import { chmod, chown, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PlatenError } from "@platen/proto";
import { render } from "./render.ts";
import { formatSettings, parseSettings, type Settings, withKept, withoutSecrets } from "./settings.ts";

export const settingsFile = "platen.toml";
/** What a maker finds on the boot partition afterwards. */
export const takenFile = "platen-taken.toml";
export const errorFile = "platen-error.txt";

export interface Board {
  /** The boot partition. */
  readonly boot: string;
  /** Of the system's own; nobody else can look into it. */
  readonly system: string;
  /** Before the paths of what is written: empty on the board. */
  readonly prefix: string;
  /** Of the printer's settings: whose group may read them. Its program may change nothing where root writes. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Lets `work` write to the boot partition, which is read-only else. */
  readonly writable: (work: () => Promise<void>) => Promise<void>;
}

const textOf = (path: string): Promise<string | undefined> =>
  readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });

async function sync(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}

/** After a power cut there is the old file or the new one. */
async function replace(path: string, text: string, mode: number, owner?: Board["owner"]): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const part = `${path}.part`;
  await rm(part, { force: true });
  {
    await using file = await open(part, "wx", mode);
    await file.chmod(mode);
    if (owner) await file.chown(owner.uid, owner.gid);
    await file.writeFile(text);
    await file.sync();
  }
  await rename(part, path);
  await sync(dirname(path));
}

/** FAT forgets a deleted file's place, not its contents: they are overwritten first. */
async function wipe(path: string): Promise<void> {
  {
    await using file = await open(path, "r+");
    const { size } = await file.stat();
    await file.write(Buffer.alloc(size, 0x20), 0, size, 0);
    await file.sync();
  }
  await rm(path);
  await sync(dirname(path));
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Resolves to whether it was done. */
async function isDone(what: string, work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    say(`${what}: ${(error as Error).message}`);
    return false;
  }
}

/** The settings that the board has. Undefined: none yet, or none that can be read any more. */
async function storedSettings(board: Board): Promise<Settings | undefined> {
  try {
    const toml = await textOf(join(board.system, settingsFile));
    return toml === undefined ? undefined : parseSettings(toml);
  } catch (error) {
    say(`the board's settings cannot be used any more: ${(error as Error).message}`);
    return undefined;
  }
}

interface Taken {
  readonly settings: Settings | undefined;
  /** What is to be written to the boot partition once the board is set up. */
  readonly answer?: () => Promise<void>;
}

/** The settings that the board is to have, after a look at the boot partition. */
async function takeOver(board: Board): Promise<Taken> {
  const present = await storedSettings(board);
  const given = join(board.boot, settingsFile);
  let settings: Settings;
  try {
    const toml = await textOf(given);
    if (toml === undefined) return { settings: present };
    settings = withKept(parseSettings(toml), present);
  } catch (error) {
    const { message } = error as Error;
    say(message);
    if (!(error instanceof PlatenError)) return { settings: present };
    const goesOn = present
      ? "The board goes on with the settings that it had."
      : "The board has no settings yet.";
    const text = `The settings were not taken over.\n\n${message}\n\n${goesOn} Put it right in ${settingsFile} and start the board again.\n`;
    const complain = () => replace(join(board.boot, errorFile), text.replaceAll("\n", "\r\n"), 0o600);
    return { settings: present, answer: complain };
  }
  const storing = replace(join(board.system, settingsFile), formatSettings(settings), 0o600);
  if (!(await isDone("the settings cannot be kept", storing))) return { settings };
  say(`settings of printer ${settings.printer.id} taken over`);
  const answer = async () => {
    await replace(join(board.boot, takenFile), formatSettings(withoutSecrets(settings)), 0o600);
    await wipe(given);
    await rm(join(board.boot, errorFile), { force: true });
  };
  return { settings, answer };
}

/** Resolves to the name that the board is to have; undefined as long as it has no settings. */
export async function provisionBoard(board: Board): Promise<string | undefined> {
  const { settings, answer } = await takeOver(board);
  const hostname = settings && (await setUp(board, settings));
  if (answer) await isDone("the boot partition cannot be written to", board.writable(answer));
  return hostname;
}

async function setUp(board: Board, settings: Settings): Promise<string> {
  const { hostname, printer, system } = render(settings);
  for (const [path, { text, mode }] of Object.entries(system)) {
    const to = board.prefix + path;
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, text, { mode });
  }
  for (const [path, text] of Object.entries(printer)) {
    const to = board.prefix + path;
    // The same again at each start: nothing is written that has not changed.
    if ((await textOf(to)) === text) continue;
    await mkdir(dirname(to), { recursive: true });
    await chmod(dirname(to), 0o750);
    await chown(dirname(to), board.owner.uid, board.owner.gid);
    await replace(to, text, 0o640, board.owner);
  }
  return hostname;
}

/** A cupsd of its own, with a queue that makes CUPS raster of four one-bit planes and throws it away. Wants root. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { cpuSecondsOf, end } from "../support/processes.ts";
import type { Printed, PrintRequest, PrintSystem } from "./print-system.ts";

const run = promisify(execFile);

/** One size, one resolution: 1 bit a colour, CMYK, colour by colour in each row. */
const ppd = `*PPD-Adobe: "4.3"
*FormatVersion: "4.3"
*FileVersion: "1.0"
*LanguageVersion: English
*LanguageEncoding: ISOLatin1
*PCFileName: "BENCH.PPD"
*Manufacturer: "Bench"
*Product: "(Bench)"
*ModelName: "Bench"
*ShortNickName: "Bench"
*NickName: "Bench"
*PSVersion: "(3010.000) 0"
*LanguageLevel: "3"
*ColorDevice: True
*DefaultColorSpace: CMYK
*FileSystem: False
*Throughput: "1"
*LandscapeOrientation: Plus90
*TTRasterizer: Type42
*cupsVersion: 2.4
*cupsManualCopies: False
*cupsFilter: "application/vnd.cups-raster 0 -"
*OpenUI *PageSize: PickOne
*DefaultPageSize: A4
*PageSize A4: "<</PageSize[595 842]/ImagingBBox null>>setpagedevice"
*CloseUI: *PageSize
*OpenUI *PageRegion: PickOne
*DefaultPageRegion: A4
*PageRegion A4: "<</PageSize[595 842]/ImagingBBox null>>setpagedevice"
*CloseUI: *PageRegion
*DefaultImageableArea: A4
*ImageableArea A4: "0 0 595 842"
*DefaultPaperDimension: A4
*PaperDimension A4: "595 842"
*OpenUI *Resolution: PickOne
*DefaultResolution: 600dpi
*Resolution 600dpi: "<</HWResolution[600 600]/cupsBitsPerColor 1/cupsColorSpace 6/cupsColorOrder 1>>setpagedevice"
*CloseUI: *Resolution
*DefaultFont: Courier
*Font Courier: Standard "(1.05)" Standard ROM
`;

const settings = (socket: string): string => `Listen ${socket}
LogLevel warn
Browsing Off
WebInterface No
DefaultAuthType None
<Location />
Allow all
</Location>
<Location /admin>
Allow all
</Location>
<Policy default>
<Limit All>
Order deny,allow
</Limit>
</Policy>
`;

/** A job takes no longer, or never ends. */
const limitMs = 300_000;

class Cups implements PrintSystem {
  readonly label = "CUPS, gstoraster";
  readonly #server: ChildProcess;
  readonly #folder: string;
  readonly #socket: string;

  constructor(server: ChildProcess, folder: string, socket: string) {
    this.#server = server;
    this.#folder = folder;
    this.#socket = socket;
  }

  async print({ file, pages }: PrintRequest): Promise<Printed> {
    const pid = this.#server.pid!;
    const [cpuBefore, startedMs] = [await cpuSecondsOf(pid), performance.now()];
    const options = ["-o", "fit-to-page", "-P", `1-${pages}`];
    const { stdout } = await run("lp", ["-h", this.#socket, "-d", "bench", ...options, file]);
    const id = / (bench-\d+) /.exec(stdout)?.[1];
    if (id === undefined) throw new Error(`lp says ${stdout}`);
    while ((await this.#list("not-completed")).includes(`${id} `)) {
      if (performance.now() - startedMs > limitMs) throw new Error(`${id} does not end`);
      await delay(30);
    }
    if (!(await this.#list("completed")).includes(`${id} `)) throw new Error(`${id} has not been completed`);
    const wallS = (performance.now() - startedMs) / 1000;
    return { wallS, cpuS: (await cpuSecondsOf(pid)) - cpuBefore };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#server);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #list(which: string): Promise<string> {
    return (await run("lpstat", ["-h", this.#socket, "-W", which, "-o", "bench"])).stdout;
  }
}

/** Throws when CUPS is not there, or does not start. */
export async function startCups(): Promise<PrintSystem> {
  const folder = await mkdtemp(join(tmpdir(), "platen-cups-"));
  // Filters run as another user.
  await chmod(folder, 0o755);
  const at = (name: string): string => join(folder, name);
  for (const name of ["root", "spool", "cache", "state", "temp"]) await mkdir(at(name));
  await chmod(at("temp"), 0o1777);
  const places = {
    ServerRoot: at("root"),
    RequestRoot: at("spool"),
    CacheDir: at("cache"),
    StateDir: at("state"),
    TempDir: at("temp"),
    ErrorLog: at("error_log"),
    AccessLog: at("access_log"),
    PageLog: at("page_log"),
    SystemGroup: "root",
    FileDevice: "Yes",
  };
  const socket = at("cups.sock");
  await writeFile(
    at("cups-files.conf"),
    Object.entries(places)
      .map((one) => `${one.join(" ")}\n`)
      .join(""),
  );
  await writeFile(at("cupsd.conf"), settings(socket));
  await writeFile(at("bench.ppd"), ppd);
  const server = spawn("cupsd", ["-f", "-c", at("cupsd.conf"), "-s", at("cups-files.conf")], {
    stdio: "ignore",
  });
  await once(server, "spawn");
  const cups = new Cups(server, folder, socket);
  for (let left = 50; ; left--) {
    try {
      await run("lpadmin", [
        "-h",
        socket,
        "-p",
        "bench",
        "-E",
        "-v",
        "file:/dev/null",
        "-P",
        at("bench.ppd"),
      ]);
      return cups;
    } catch (error) {
      if (left > 0 && server.exitCode === null) {
        await delay(100);
        continue;
      }
      await cups[Symbol.asyncDispose]();
      const log = await readFile(at("error_log"), "utf8").catch(() => "");
      throw new Error(`cupsd takes no queue: ${log}`, { cause: error });
    }
  }
}

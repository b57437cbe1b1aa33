/** The engine's serial port: found by its path or by the USB device behind it, opened, and opened again when it went away. */
import { sanitize } from "@platen/hw/protocol";
import { PlatenError } from "@platen/proto";
import { SerialPort } from "serialport";

/** Which port. */
export type PortAddress =
  | { readonly kind: "path"; readonly path: string }
  /** Four hexadecimal digits each, lower case. */
  | { readonly kind: "usb"; readonly vendorId: string; readonly productId: string };

/** What happens at a port. Nothing is called before `start` returns, nor after disposal. */
export interface PortHandlers {
  opened(): void;
  /** It is gone; it will be tried again. */
  closed(): void;
  bytes(bytes: Uint8Array): void;
}

/** Where an engine's bytes go and come from. */
export interface EnginePort extends AsyncDisposable {
  /** Why the port is not open, for people; empty while it is. */
  readonly problem: string;
  start(handlers: PortHandlers): void;
  /** Sends bytes; loses them while the port is closed, as a line does. */
  write(bytes: Uint8Array): void;
  /** Closes the port and opens it again: the engine behind it does not answer. */
  reopen(): void;
}

export interface SerialPortOptions {
  readonly address: PortAddress;
  readonly baudRateBps: number;
  readonly rtscts: boolean;
}

export interface PortDescription {
  readonly path: string;
  readonly vendorId: string | undefined;
  readonly productId: string | undefined;
  readonly manufacturer: string | undefined;
  readonly serialNumber: string | undefined;
}

/** What devices call themselves may be anything. */
const shown = (text: string | undefined): string | undefined => (text && sanitize(text)) || undefined;

/** The serial ports of this machine that have hardware behind them, their strings harmless. Throws `configuration` when the system does not tell. */
export async function listPorts(): Promise<PortDescription[]> {
  const ports = await SerialPort.list().catch((cause: unknown) => {
    // serialport asks udev on Linux.
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "this machine has no udev" : message;
    throw new PlatenError(
      "configuration",
      `serial ports cannot be listed: ${why}; install udev, or name the port by its path`,
      { cause },
    );
  });
  return ports
    .filter(({ vendorId, pnpId, locationId }) => vendorId ?? pnpId ?? locationId)
    .map(({ path, vendorId, productId, manufacturer, serialNumber }) => ({
      path,
      vendorId: vendorId?.toLowerCase(),
      productId: productId?.toLowerCase(),
      manufacturer: shown(manufacturer),
      serialNumber: shown(serialNumber),
    }));
}

async function pathOf(address: PortAddress): Promise<string> {
  if (address.kind === "path") return address.path;
  const { vendorId, productId } = address;
  const found = (await listPorts()).find((it) => it.vendorId === vendorId && it.productId === productId);
  if (found) return found.path;
  throw new PlatenError("engine-offline", `no serial port has the USB device ${vendorId}:${productId}`);
}

const retryMs = 500;

export class ReopeningPort implements EnginePort {
  readonly #options: SerialPortOptions;
  #handlers: PortHandlers | undefined;
  #port: SerialPort | undefined;
  #retry: NodeJS.Timeout | undefined;
  #opening: Promise<void> | undefined;
  #disposed = false;
  problem = "";

  constructor(options: SerialPortOptions) {
    this.#options = options;
  }

  start(handlers: PortHandlers): void {
    this.#handlers = handlers;
    this.#opening = this.#open();
  }

  write(bytes: Uint8Array): void {
    const port = this.#port;
    if (!port?.isOpen) return;
    // All that is said at once goes to the system at once: a call of it costs more than a frame.
    if (port.writableCorked === 0) {
      port.cork();
      process.nextTick(() => port.uncork());
    }
    port.write(bytes);
  }

  reopen(): void {
    if (this.#port?.isOpen) this.#port.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    clearTimeout(this.#retry);
    await this.#opening;
    const port = this.#port;
    if (!port?.isOpen) return;
    // What was written last, an ABORT perhaps, still goes out; an engine that takes nothing does not hold this up.
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, retryMs);
      port.drain(() => {
        clearTimeout(limit);
        resolve();
      });
    });
    await new Promise<void>((resolve) => port.close(() => resolve()));
  }

  async #open(): Promise<void> {
    const { address, baudRateBps, rtscts } = this.#options;
    try {
      const port = new SerialPort({
        path: await pathOf(address),
        baudRate: baudRateBps,
        rtscts,
        autoOpen: false,
      });
      await new Promise<void>((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())));
      this.#port = port;
      this.problem = "";
      // A port without a data listener never notices an unplug.
      port.on("data", (bytes: Uint8Array) => {
        if (!this.#disposed) this.#handlers?.bytes(bytes);
      });
      // An error of an open port is one that goes: `close` follows.
      port.on("error", () => {});
      port.once("close", () => this.#wentAway());
      if (!this.#disposed) this.#handlers?.opened();
    } catch (error) {
      // serialport puts "Error: " before what the system says.
      this.problem = (error as Error).message.replace(/^Error: /, "");
      this.#openLater();
    }
  }

  #wentAway(): void {
    this.#port = undefined;
    if (this.#disposed) return;
    this.#handlers?.closed();
    this.#openLater();
  }

  #openLater(): void {
    if (this.#disposed) return;
    this.#retry = setTimeout(() => {
      this.#opening = this.#open();
    }, retryMs);
  }
}

/** A serial port as a line. */
import { SerialPort } from "serialport";
import type { Line } from "./line.ts";

/** Opens the port, 8N1. `rtscts` needs both sides wired for it. Rejects with what the system says when it cannot be opened. */
export async function serialLine(path: string, baudRateBps: number, rtscts = false): Promise<Line> {
  const port = new SerialPort({ path, baudRate: baudRateBps, rtscts, autoOpen: false });
  const closed = new Promise<void>((resolve) => port.once("close", () => resolve()));
  // An error beside open and close is a port that goes: `close` follows.
  port.on("error", () => {});
  await new Promise<void>((resolve, reject) =>
    port.open((cause) => {
      // serialport puts "Error: " before what the system says.
      if (cause) reject(new Error(cause.message.replace(/^Error: /, ""), { cause }));
      else resolve();
    }),
  );
  return {
    closed,
    write: (bytes) => void port.write(bytes),
    onBytes(listener) {
      port.on("data", listener);
      return () => port.off("data", listener);
    },
    async [Symbol.asyncDispose]() {
      if (port.isOpen) port.close();
      await closed;
    },
  };
}

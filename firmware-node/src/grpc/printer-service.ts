/** Push mode: the printer's own server (S109, S110). */
import { bindService, PlatenError, PrinterService, type SessionId } from "@platen/proto";
import type { Printer } from "../app/printer.ts";

export function printerService(printer: Printer) {
  const jobIdOf = (session: SessionId | undefined): string => {
    if (session?.printerId !== printer.printerId) {
      throw new PlatenError("invalid-argument", `this is printer ${printer.printerId}`);
    }
    return session.jobId;
  };
  return bindService(PrinterService, {
    print({ instruction }) {
      if (!instruction) throw new PlatenError("invalid-argument", "the print request has no instruction");
      return { status: printer.submit(instruction) };
    },
    cancelPrint({ session }) {
      const status = printer.cancel(jobIdOf(session));
      return status ? { status } : {};
    },
    getPrinterStatus() {
      const { printerId, capabilities } = printer;
      return { printerId, capabilities, status: printer.status() };
    },
    async *watchPrint({ session }, { signal }) {
      for await (const status of printer.watch(jobIdOf(session), signal)) yield { status };
    },
  });
}

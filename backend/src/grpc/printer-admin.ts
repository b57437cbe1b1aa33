/** PrinterAdminService: what operators do about printers. */
import { bindService, PrinterAdminService } from "@platen/proto";
import type { Jobs } from "../app/jobs.ts";
import type { Printers } from "../app/printers.ts";
import { parsePrinterId } from "../domain/ids.ts";
import { requireOperator } from "./operator.ts";

export const printerAdminService = (printers: Printers, jobs: Jobs, operatorKey: string | undefined) =>
  bindService(PrinterAdminService, {
    removePrinter: async ({ printerId }, context) => {
      requireOperator(operatorKey, context);
      await printers.remove(parsePrinterId(printerId), jobs);
      return {};
    },
  });

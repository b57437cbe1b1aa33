import { create } from "@bufbuild/protobuf";
import {
  JobErrorAction,
  JobTicketSchema,
  Orientation,
  PresentationDirection,
  PrintColorMode,
  PrintContentOptimize,
  PrintQuality,
  PrintScaling,
  SheetCollate,
  Sides,
} from "@platen/proto";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { validateTicket } from "../domain/ticket.ts";
import { addTicketOptions, parsePageRanges, ticketOf } from "./ticket-options.ts";

const ticket = (...args: string[]) => {
  const command = addTicketOptions(new Command("x").exitOverride().configureOutput({ writeErr() {} }));
  return create(JobTicketSchema, ticketOf(command.parse(args, { from: "user" }).opts()));
};

describe("ticket options", () => {
  test("none leave everything to the printer", () => {
    expect(ticket()).toEqual(create(JobTicketSchema));
  });

  test("all of them say what IPP's attributes of their names say", () => {
    const sheet = "--copies 3 --page-ranges 1-3,7 --sides two-sided-short-edge --media a3 --no-collate";
    const page =
      "--orientation-requested landscape --print-scaling auto-fit --resolution 300dpi --print-quality high";
    const rest =
      "--print-color-mode monochrome --print-content-optimize text-and-graphic --number-up 4 --presentation-direction tobottom-toleft";
    const given = ticket(...`${sheet} ${page} ${rest} --job-error-action cancel-job`.split(" "));
    expect(given).toEqual(
      create(JobTicketSchema, {
        copies: 3,
        pageRanges: [
          { firstPage: 1, lastPage: 3 },
          { firstPage: 7, lastPage: 7 },
        ],
        sides: Sides.TWO_SIDED_SHORT_EDGE,
        media: "iso_a3_297x420mm",
        orientationRequested: Orientation.LANDSCAPE,
        printScaling: PrintScaling.AUTO_FIT,
        printerResolutionDpi: 300,
        printQuality: PrintQuality.HIGH,
        printColorMode: PrintColorMode.MONOCHROME,
        printContentOptimize: PrintContentOptimize.TEXT_AND_GRAPHIC,
        numberUp: 4,
        sheetCollate: SheetCollate.UNCOLLATED,
        presentationDirectionNumberUp: PresentationDirection.TOBOTTOM_TOLEFT,
        jobErrorAction: JobErrorAction.CANCEL_JOB,
      }),
    );
    expect(() => validateTicket(given)).not.toThrow();
  });

  test("take IPP's numbers as lp does, CUPS's names of sizes, and any PWG name", () => {
    expect(ticket("--orientation-requested", "4", "--print-quality", "3")).toMatchObject({
      orientationRequested: Orientation.LANDSCAPE,
      printQuality: PrintQuality.DRAFT,
    });
    for (const name of ["a3", "a4", "a5", "a6", "Letter", "legal", "tabloid"]) {
      expect(() => validateTicket(ticket("--media", name))).not.toThrow();
    }
    expect(ticket("--media", "custom_card_100x150mm").media).toBe("custom_card_100x150mm");
    expect(ticket("--collate").sheetCollate).toBe(SheetCollate.COLLATED);
  });

  test.each([
    ["--copies", "0"],
    ["--copies", "two"],
    ["--sides", "both"],
    ["--sides", "2"],
    ["--print-color-mode", "unspecified"],
    ["--resolution", "fine"],
    ["--page-ranges", "3-"],
    ["--page-ranges", "0"],
    ["--page-ranges", "1,,2"],
  ])("%s %s is refused", (flag, value) => {
    expect(() => ticket(flag, value)).toThrow(expect.objectContaining({ code: "commander.invalidArgument" }));
  });

  test("page ranges may have spaces", () => {
    expect(parsePageRanges("2 - 4, 9")).toEqual([
      { firstPage: 2, lastPage: 4 },
      { firstPage: 9, lastPage: 9 },
    ]);
  });
});

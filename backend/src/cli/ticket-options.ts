/** The job ticket on the command line: options and values spelled as in IPP and CUPS. */
import type { DescEnum, MessageInitShape } from "@bufbuild/protobuf";
import {
  type JobErrorAction,
  JobErrorActionSchema,
  type JobTicketSchema,
  type Orientation,
  OrientationSchema,
  type PresentationDirection,
  PresentationDirectionSchema,
  type PrintColorMode,
  PrintColorModeSchema,
  type PrintContentOptimize,
  PrintContentOptimizeSchema,
  type PrintQuality,
  PrintQualitySchema,
  type PrintScaling,
  PrintScalingSchema,
  SheetCollate,
  type Sides,
  SidesSchema,
} from "@platen/proto";
import { type Command, InvalidArgumentError, Option } from "commander";

export type TicketInit = Exclude<MessageInitShape<typeof JobTicketSchema>, { $typeName: string }>;

export interface TicketOptions {
  copies?: number;
  pageRanges?: { firstPage: number; lastPage: number }[];
  sides?: Sides;
  media?: string;
  orientationRequested?: Orientation;
  printScaling?: PrintScaling;
  resolution?: number;
  printQuality?: PrintQuality;
  printColorMode?: PrintColorMode;
  printContentOptimize?: PrintContentOptimize;
  numberUp?: number;
  presentationDirection?: PresentationDirection;
  collate?: boolean;
  jobErrorAction?: JobErrorAction;
}

/** What people call the common sizes, as CUPS knows them too; any other PWG 5101.1 name is passed on as it is. */
const mediaNames: Readonly<Record<string, string>> = {
  a3: "iso_a3_297x420mm",
  a4: "iso_a4_210x297mm",
  a5: "iso_a5_148x210mm",
  a6: "iso_a6_105x148mm",
  letter: "na_letter_8.5x11in",
  legal: "na_legal_8.5x14in",
  tabloid: "na_ledger_11x17in",
};

/** An enum's keywords as IPP spells them, without the unspecified one: `two-sided-long-edge`. */
const keywords = (desc: DescEnum): string[] =>
  desc.values.filter(({ number }) => number !== 0).map((value) => keywordOf(value.localName));

const keywordOf = (localName: string): string => localName.toLowerCase().replaceAll("_", "-");

/** Takes a keyword; where IPP gives an enum numbers (orientation-requested, print-quality) the number too, as lp does. */
function enumOption(flag: string, desc: DescEnum, description: string, numbers = false): Option {
  const parse = (text: string): number => {
    const found = desc.values.find(
      ({ localName, number }) =>
        number !== 0 && (keywordOf(localName) === text.toLowerCase() || (numbers && String(number) === text)),
    );
    if (found) return found.number;
    throw new InvalidArgumentError(`It must be one of ${keywords(desc).join(", ")}.`);
  };
  return new Option(`--${flag} <keyword>`, `${description}: ${keywords(desc).join(", ")}`).argParser(parse);
}

function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number, at least 1.");
}

/** `600` or `600dpi`. */
function resolution(text: string): number {
  const dpi = /^([1-9]\d{0,4})(dpi)?$/.exec(text)?.[1];
  if (dpi) return Number(dpi);
  throw new InvalidArgumentError("It must be a number of dots an inch, for example 600.");
}

/** `1-3,7`. */
export function parsePageRanges(text: string): { firstPage: number; lastPage: number }[] {
  return text.split(",").map((part) => {
    const [, first, last = first] = /^\s*([1-9]\d{0,8})\s*(?:-\s*([1-9]\d{0,8})\s*)?$/.exec(part) ?? [];
    if (first) return { firstPage: Number(first), lastPage: Number(last) };
    throw new InvalidArgumentError("It must be pages and ranges of pages, for example 1-3,7.");
  });
}

/** Adds the ticket's options under a heading of their own. */
export function addTicketOptions(command: Command): Command {
  const options = [
    new Option("--copies <n>", "how many copies, 1 to 999").argParser(count),
    new Option("--page-ranges <ranges>", "which pages, for example 1-3,7").argParser(parsePageRanges),
    enumOption("sides", SidesSchema, "on which sides of the sheet"),
    new Option(
      "--media <name>",
      `${Object.keys(mediaNames).join(", ")}, or any PWG name such as iso_a4_210x297mm, if the printer has it`,
    ).argParser((text: string) => mediaNames[text.toLowerCase()] ?? text),
    enumOption("orientation-requested", OrientationSchema, "how the page lies on the sheet", true),
    enumOption("print-scaling", PrintScalingSchema, "how the page is fitted to the sheet"),
    new Option("--resolution <dpi>", "dots an inch: 300, 600 or 1200").argParser(resolution),
    enumOption("print-quality", PrintQualitySchema, "speed against quality", true),
    enumOption("print-color-mode", PrintColorModeSchema, "colour or not"),
    enumOption(
      "print-content-optimize",
      PrintContentOptimizeSchema,
      "what the pages show; photo makes greys and black of all inks",
    ),
    new Option("--number-up <n>", "pages on one side: 1, 2, 4, 6, 9 or 16").argParser(count),
    enumOption(
      "presentation-direction",
      PresentationDirectionSchema,
      "how the pages of --number-up are laid",
    ),
    new Option("--collate", "whole sets of copies, one after the other (the default)"),
    new Option("--no-collate", "all copies of a sheet together"),
    enumOption("job-error-action", JobErrorActionSchema, "when ink or paper is out, or the engine fails"),
  ];
  for (const option of options) command.addOption(option.helpGroup("Ticket options:"));
  return command;
}

/** The ticket; what is not given stays the printer's to choose. */
export const ticketOf = (options: TicketOptions): TicketInit => ({
  copies: options.copies ?? 0,
  pageRanges: options.pageRanges ?? [],
  sides: options.sides ?? 0,
  media: options.media ?? "",
  orientationRequested: options.orientationRequested ?? 0,
  printScaling: options.printScaling ?? 0,
  printerResolutionDpi: options.resolution ?? 0,
  printQuality: options.printQuality ?? 0,
  printColorMode: options.printColorMode ?? 0,
  printContentOptimize: options.printContentOptimize ?? 0,
  numberUp: options.numberUp ?? 0,
  presentationDirectionNumberUp: options.presentationDirection ?? 0,
  sheetCollate:
    options.collate === undefined
      ? SheetCollate.UNSPECIFIED
      : options.collate
        ? SheetCollate.COLLATED
        : SheetCollate.UNCOLLATED,
  jobErrorAction: options.jobErrorAction ?? 0,
});

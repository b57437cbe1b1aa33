/** Colour from the document to the dots: the ticket's content type, and images in a colour space of their own. */
import { fileURLToPath } from "node:url";
import type { Ink, StackedSheet } from "@platen/hw";
import { JobState, PrintContentOptimize, PrintScaling } from "@platen/proto";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ended, submit, type Ticket } from "./support/jobs.ts";
import { pdf } from "./support/pdf.ts";
import { type TestPrinter, testPrinter } from "./support/printer.ts";
import { embeddedSystem, type TestSystem } from "./support/system.ts";

const profile = fileURLToPath(new URL("../firmware-node/profiles/FOGRA39L.icc", import.meta.url));

/** Dots of an ink, as a share of the places on the sheet. */
function share(sheet: StackedSheet, ink: Ink): number {
  const { planes, widthPx, heightPx } = sheet.sides[0]!;
  let dots = 0;
  for (const byte of planes.get(ink)!) for (let bit = 0; bit < 8; bit++) dots += (byte >> bit) & 1;
  return dots / (widthPx * heightPx);
}

describe("a printer with an output profile", () => {
  let system: TestSystem;
  let printer: TestPrinter;
  beforeAll(async () => {
    system = await embeddedSystem();
    printer = await testPrinter(system, { printerId: "color", mode: "poll", settings: { profile } });
  });
  afterAll(async () => {
    await printer?.[Symbol.asyncDispose]();
    await system?.[Symbol.asyncDispose]();
  });

  const print = async (document: Uint8Array, ticket: Ticket): Promise<StackedSheet> => {
    const { job } = await ended(system, await submit(system, "color", document, ticket));
    expect(job).toMatchObject({ state: JobState.COMPLETED, errorCode: "" });
    return printer.sheetsOf(job.jobId)[0]!;
  };

  it("prints greys of black alone, and photos' greys of all inks, as print-content-optimize says", async () => {
    const grey = pdf([{ widthPt: 60, heightPt: 60, content: "0.3 g 10 10 40 40 re f", entries: "" }]);
    const auto = await print(grey, {});
    expect(share(auto, "black")).toBeGreaterThan(0.1);
    expect([share(auto, "cyan"), share(auto, "magenta"), share(auto, "yellow")]).toEqual([0, 0, 0]);
    const photo = await print(grey, { printContentOptimize: PrintContentOptimize.PHOTO });
    expect(Math.min(share(photo, "cyan"), share(photo, "magenta"), share(photo, "yellow"))).toBeGreaterThan(
      0.05,
    );
    expect(share(photo, "black")).toBeLessThan(share(auto, "black"));
  });

  it("prints an image by its embedded profile: the same colour in Display P3 and in sRGB is the same on paper", async () => {
    const green = {
      create: { width: 60, height: 60, channels: 3, background: { r: 0, g: 190, b: 40 } },
    } as const;
    const image = (icc: string) => sharp(green).withMetadata({ density: 72, icc }).png().toBuffer();
    const ticket: Ticket = { printScaling: PrintScaling.FILL };
    const [wide, plain] = [await print(await image("p3"), ticket), await print(await image("srgb"), ticket)];
    for (const ink of ["cyan", "magenta", "yellow", "black"] as const) {
      expect(Math.abs(share(wide, ink) - share(plain, ink)), ink).toBeLessThan(0.02);
    }
    // Its numbers are others, and read as sRGB they would print with less cyan.
    const numbers = await sharp(await image("p3"), { ignoreIcc: true })
      .raw()
      .toBuffer();
    expect(numbers[0]).toBeGreaterThan(50);
    expect(share(plain, "cyan")).toBeGreaterThan(0.5);
  });
});

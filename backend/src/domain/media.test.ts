import { describe, expect, it } from "vitest";
import { parseMediaSize } from "./media.ts";

describe("parseMediaSize", () => {
  it.each([
    ["iso_a4_210x297mm", 210_000, 297_000],
    ["na_letter_8.5x11in", 215_900, 279_400],
    ["na_legal_8.5x14in", 215_900, 355_600],
    ["na_number-10_4.125x9.5in", 104_775, 241_300],
    ["jis_b5_182x257mm", 182_000, 257_000],
    ["jpn_hagaki_100x148mm", 100_000, 148_000],
    ["custom_name_100x150mm", 100_000, 150_000],
    ["custom_0.1-wide_100.25x150.5mm", 100_250, 150_500],
    ["om_small-photo_100x150mm", 100_000, 150_000],
  ])("reads %s", (name, widthUm, heightUm) => {
    expect(parseMediaSize(name)).toEqual({ name, widthUm, heightUm });
  });

  it.each([
    "",
    "a4",
    "iso_a4",
    "ISO_A4_210x297mm",
    "iso_a4_210x297",
    "iso_a4_210x297cm",
    "iso_a4_210x297mm ",
    "iso_a4_-210x297mm",
    "iso_a4_210.x297mm",
    "acme_a4_210x297mm",
    "iso__210x297mm",
    `custom_${"x".repeat(200)}_100x150mm`,
  ])("refuses %j and names the attribute", (name) => {
    expect(() => parseMediaSize(name)).toThrow(
      expect.objectContaining({ code: "ticket-invalid", message: expect.stringMatching(/^media /) }),
    );
  });

  it("refuses sizes that no engine takes", () => {
    for (const name of ["custom_x_0x100mm", "custom_x_100x0.5mm", "custom_x_100x10001mm"]) {
      expect(() => parseMediaSize(name, "media-default"), name).toThrow(/^media-default .* out of bounds/);
    }
  });
});

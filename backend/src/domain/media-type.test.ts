import { describe, expect, it } from "vitest";
import { sniffBytes, sniffMediaType } from "./media-type.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

describe("sniffMediaType", () => {
  it("knows JPEG, PNG and PDF by their first bytes", () => {
    expect(sniffMediaType(bytes("\xff\xd8\xff\xe0\x00\x10JFIF"))).toBe("image/jpeg");
    expect(sniffMediaType(bytes("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"))).toBe("image/png");
    expect(sniffMediaType(bytes("%PDF-1.7\n"))).toBe("application/pdf");
  });

  it("finds a PDF header behind other bytes, within the first 1024", () => {
    expect(sniffMediaType(bytes(`${"x".repeat(sniffBytes - 5)}%PDF-`))).toBe("application/pdf");
    expect(sniffMediaType(bytes(`${"x".repeat(sniffBytes - 4)}%PDF-`))).toBeUndefined();
  });

  it("knows nothing else, nor the beginning of a signature alone", () => {
    for (const text of ["", "%PD", "\xff\xd8", "\x89PNG", "GIF89a", "%!PS-Adobe-3.0", "plain text"]) {
      expect(sniffMediaType(bytes(text)), text).toBeUndefined();
    }
  });
});

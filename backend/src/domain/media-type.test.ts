import { describe, expect, it } from "vitest";
import { DocumentHead, sniffBytes, sniffMediaType, unknownFormat } from "./media-type.ts";

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

it.each([
  ["II*\0\x08\0\0\0", "a TIFF image"],
  ["MM\0*\0\0\0\x08", "a TIFF image"],
  ["GIF89a", "a GIF image"],
  ["RIFF\x10\n\r\0WEBPVP8 ", "a WebP image"],
  ["BM\x36\0\x0c\0\0\0\0\0", "a BMP image"],
  ["%!PS-Adobe-3.0", "PostScript"],
  ["PK\x03\x04\x14\0", "a ZIP archive or an office document"],
  ["\n<!DOCTYPE html>", "HTML, SVG or XML"],
  ["just a text", "neither PDF nor JPEG nor PNG"],
])("a document that begins with %j is told to be %s", (text, what) => {
  const { code, message } = unknownFormat(bytes(text));
  expect(code).toBe("document-format");
  expect(message).toContain(`the document is ${what}: `);
});

describe("DocumentHead", () => {
  const headOf = (...chunks: readonly string[]) => {
    const head = new DocumentHead();
    return { head, complete: chunks.map((chunk) => head.add(bytes(chunk))) };
  };

  it("gathers a header that chunks split, and says once when it has all it looks at", () => {
    const { head, complete } = headOf("%P", "DF-1.7\n", "x".repeat(sniffBytes), "more");
    expect(head.mediaType()).toBe("application/pdf");
    expect(complete).toEqual([false, false, true, false]);
  });

  it("looks no further than its first bytes", () => {
    const { head } = headOf("x".repeat(sniffBytes - 4), "%PDF-1.7\n");
    expect(() => head.mediaType()).toThrow("the document is neither PDF nor JPEG nor PNG");
  });
});

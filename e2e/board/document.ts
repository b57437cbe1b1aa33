/** What the emulated board prints: small pages with text, lines, flat colours and a picture. */
import { pdf, type PdfPage } from "../support/pdf.ts";

export const media = "iso_a6_105x148mm";
export const dpi = 300;

const widthPt = 298;
const heightPt = 420;

/** A picture as PDF's inline image: smooth in colour and brightness, so that it is all halftone. */
function picture(size: number, seed: number): string {
  let pixels = "";
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      for (const phase of [0, 2.1, 4.2]) {
        const value =
          0.5 + 0.5 * Math.sin((x * (seed + 2) + y * 3) / size + phase) * Math.cos((y * 5) / size);
        pixels += Math.round(value * 255)
          .toString(16)
          .padStart(2, "0");
      }
    }
  }
  return `BI /W ${size} /H ${size} /BPC 8 /CS /RGB /F /AHx ID ${pixels}> EI`;
}

function page(number: number): PdfPage {
  const lines = Array.from(
    { length: 9 },
    (_, line) =>
      `1 0 0 1 24 ${150 - 14 * line} Tm (Sheet ${number}, line ${line + 1}: from the cloud to drops of ink.) Tj`,
  );
  const content = [
    `q 250 0 0 180 24 200 cm ${picture(48, number)} Q`,
    `0.9 0.2 0.1 rg 24 172 60 16 re f 0.1 0.5 0.3 rg 94 172 60 16 re f 0.5 g 164 172 60 16 re f`,
    `0 g BT /F1 11 Tf ${lines.join(" ")} ET`,
    `0.4 w 24 20 m 274 20 l S`,
  ].join("\n");
  return { widthPt, heightPt, content };
}

/** A document of so many different pages, PDF. */
export const document = (pages: number): Buffer =>
  pdf(Array.from({ length: pages }, (_, index) => page(index + 1)));

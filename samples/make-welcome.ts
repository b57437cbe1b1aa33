/**
 * Draws welcome.pdf, the document that the demo prints. Run it after a change: `node samples/make-welcome.ts`. The same sources
 * give the same bytes, and `welcome.test.ts` holds the file to them.
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { loadImage, PDFDocument } from "@napi-rs/canvas";
import { backPage } from "./welcome/back-page.ts";
import { cover } from "./welcome/cover.ts";
import { testPage } from "./welcome/test-page.ts";
import { textPage } from "./welcome/text-page.ts";
import { a4, type Page, registerFonts } from "./welcome/typeset.ts";

export const welcomePath = fileURLToPath(new URL("welcome.pdf", import.meta.url));

/** The bytes of the PDF. */
export async function drawWelcome(): Promise<Buffer> {
  registerFonts();
  const photo = await loadImage(fileURLToPath(new URL("coffee.jpg", import.meta.url)));
  const pages: readonly ((page: Page, number: number, pages: number) => void)[] = [
    cover,
    textPage,
    (page, number, count) => testPage(page, number, count, photo),
    backPage,
  ];
  const document = new PDFDocument({
    title: "Welcome to Platen",
    creator: "Platen",
    encodingQuality: 90,
    compressionLevel: 9,
  });
  for (const [index, draw] of pages.entries()) {
    draw(document.beginPage(a4.width, a4.height) as Page, index + 1, pages.length);
    document.endPage();
  }
  return document.close();
}

if (import.meta.main) await writeFile(welcomePath, await drawWelcome());

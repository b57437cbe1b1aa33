/** A page with next to nothing on it, so that nearly all its bands are blank. */
import { a4, footer, grey, line, type Page } from "./typeset.ts";

export function backPage(page: Page, number: number, pages: number): void {
  const [x, y] = [a4.width / 2, a4.height * 0.42];
  line(page, "This page is left almost blank.", x, y, { sizePt: 16, align: "center" });
  const why = "Where a page has no ink, nothing is encoded, sent, decoded or halftoned.";
  line(page, why, x, y + 20, { sizePt: 10, color: grey.dark, align: "center" });
  footer(page, "Grey, and nearly no band with ink.", number, pages);
}

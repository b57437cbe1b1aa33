/** A page of text: docs/path-of-a-page.md, shortened, and a table. Nothing on it has a colour. */
import { a4, type Block, column, footer, grey, line, margin, type Page } from "./typeset.ts";

const heading = (text: string): Block => ({ kind: "heading", text });
const paragraph = (title: string, text: string): Block => ({ kind: "paragraph", title, text });

const inTheBackend: readonly Block[] = [
  heading("In the backend"),
  paragraph(
    "Upload.",
    "The client streams the file to intake, which counts the bytes, hashes them and keeps them.",
  ),
  paragraph(
    "Submit.",
    "The ticket is checked twice: can any printer do this, and can this one? Then the job goes into a queue, where it outlives " +
      "the process that put it there.",
  ),
  paragraph(
    "Session.",
    "A controller takes the job from the queue and asks an executor for a session and a token. The session’s id is of the " +
      "client’s choosing, and its state lies in a store that all executors share.",
  ),
  paragraph(
    "Download.",
    "Any executor fetches the document, and writes into the session record where it lies.",
  ),
  paragraph(
    "Conversion.",
    "Any executor reads that record and opens the document; often it is another one. No request is bound to the executor " +
      "that served the one before it, so the load really spreads.",
  ),
  paragraph(
    "Bands.",
    "A worker process, its time and memory limited, draws the page, cuts it into bands as wide as the sheet, and looks at every " +
      "pixel. A band without ink becomes a note, a band without colour becomes one channel, the rest are colour.",
  ),
];

const inThePrinter: readonly Block[] = [
  heading("In the printer"),
  paragraph(
    "Request.",
    "The printer is told while the first page is still being drawn, by a call or by its own asking, and fetches pages as they " +
      "become ready.",
  ),
  paragraph(
    "Fetch.",
    "Each page comes by its URL, for a token. Where it is not ready, the request waits. No band is believed before it is " +
      "checked, and a broken connection is tried again.",
  ),
  paragraph("Decode.", "A band is decoded while the one before it is at the engine."),
  paragraph("Separate.", "Red, green and blue become coverage of cyan, magenta, yellow and black."),
  paragraph(
    "Halftone.",
    "Coverage becomes dots, one bit a plane. What a dot is too much or too little is carried on, from band to band too, so that " +
      "no seam shows.",
  ),
  paragraph(
    "Engine.",
    "The planes become drops. Out of paper, out of ink, a jam: the printer stops, says so, and goes on with the first sheet that " +
      "is not stacked.",
  ),
  heading("And back"),
  paragraph(
    "Report.",
    "Every sheet is an event of the job and reaches whoever watches. After the last one any executor deletes the pages, the token " +
      "and, last, the session record.",
  ),
];

const table = {
  title: "One side of A4 at 600 dpi, on its way",
  // 4961 × 7016 pixels; a band has 272 rows at most.
  rows: [
    ["Where", "As what", "Size"],
    ["Worker", "sRGB, three bytes a pixel, 4961 × 7016", "104.4 MB"],
    ["Result store", "bands: JPEG or PNG in colour or grey, or a note", "what is on it"],
    ["Printer", "one band of at most 272 rows, three bytes a pixel", "4.0 MB"],
    ["Printer", "its coverage, four bytes a pixel", "5.4 MB"],
    ["Engine", "four planes, one bit a dot", "17.4 MB"],
  ],
};

function drawTable(page: Page, top: number): void {
  const lefts = [margin + 8, margin + 108] as const;
  const right = a4.width - margin;
  line(page, table.title, margin, top, { sizePt: 11, weight: "bold" });
  table.rows.forEach(([where = "", what = "", size = ""], index) => {
    const isHead = index === 0;
    const y = top + 12 + 19 * index;
    page.fillStyle = isHead ? grey.dark : index % 2 ? grey.faint : grey.light;
    page.fillRect(margin, y, right - margin, 19);
    const style = {
      sizePt: 9.5,
      color: isHead ? "#ffffff" : "#000000",
      weight: isHead ? "bold" : "regular",
    } as const;
    line(page, where, lefts[0], y + 13, style);
    line(page, what, lefts[1], y + 13, style);
    line(page, size, right - 8, y + 13, { ...style, align: "right" });
  });
}

export function textPage(page: Page, number: number, pages: number): void {
  line(page, "How a page travels", margin, 84, { sizePt: 30, weight: "bold" });
  const lead = "One page of one PDF, from the user’s hand to the drops of ink.";
  line(page, lead, margin, 106, { sizePt: 12, color: grey.dark });
  page.fillStyle = grey.middle;
  page.fillRect(margin, 118, a4.width - 2 * margin, 0.5);
  const gutter = 24;
  const measure = { sizePt: 10.8, leading: 14.8, width: (a4.width - 2 * margin - gutter) / 2 };
  const lowest = Math.max(
    column(page, inTheBackend, margin, 134, measure),
    column(page, inThePrinter, margin + measure.width + gutter, 134, measure),
  );
  drawTable(page, lowest + 40);
  footer(page, "Text and greys: no band of this page has a colour.", number, pages);
}

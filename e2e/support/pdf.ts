/** Small PDF files made by hand, so that a test says itself what is on its pages. */

export interface PdfPage {
  readonly widthPt: number;
  readonly heightPt: number;
  /** The page's content stream; font /F1 is Helvetica. */
  readonly content: string;
  /** More of the page's dictionary, for example `/Rotate 90`. */
  readonly entries?: string;
}

/** A PDF 1.4 file of these pages; `trailer` is more of the trailer's dictionary, for example `/Encrypt << … >>`. */
export function pdf(pages: readonly PdfPage[], trailer = ""): Buffer {
  const objects: string[] = [];
  const pageNumberOf = (index: number): number => 4 + index * 2;
  objects[1] = "<< /Type /Catalog /Pages 2 0 R >>";
  const kids = pages.map((_, index) => `${pageNumberOf(index)} 0 R`).join(" ");
  objects[2] = `<< /Type /Pages /Count ${pages.length} /Kids [${kids}] >>`;
  objects[3] = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";
  pages.forEach(({ widthPt, heightPt, content, entries = "" }, index) => {
    const number = pageNumberOf(index);
    objects[number] =
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${widthPt} ${heightPt}] /Contents ${number + 1} 0 R ` +
      `/Resources << /Font << /F1 3 0 R >> >> ${entries} >>`;
    objects[number + 1] = `<< /Length ${content.length} >>\nstream\n${content}\nendstream`;
  });
  let text = "%PDF-1.4\n";
  const offsets: number[] = [];
  objects.forEach((object, number) => {
    offsets[number] = text.length;
    text += `${number} 0 obj\n${object}\nendobj\n`;
  });
  const entries = objects
    .map((_, number) => `${String(offsets[number]).padStart(10, "0")} 00000 n \n`)
    .slice(1);
  const xref = text.length;
  text += `xref\n0 ${objects.length}\n0000000000 65535 f \n${entries.join("")}`;
  text += `trailer\n<< /Size ${objects.length} /Root 1 0 R ${trailer} >>\nstartxref\n${xref}\n%%EOF\n`;
  return Buffer.from(text, "latin1");
}

/** A stamp-sized page, quick to print: a coloured field, a grey field and the page's number. */
export const stamp = (number: number): PdfPage => ({
  widthPt: 72,
  heightPt: 72,
  content: `0.9 0.2 0.1 rg 6 40 24 24 re f 0.5 g 36 40 24 24 re f 0 g BT /F1 18 Tf 10 10 Td (${number}) Tj ET`,
});

export const stamps = (count: number): Buffer =>
  pdf(Array.from({ length: count }, (_, index) => stamp(index + 1)));

/** A page that takes a renderer a while: ten thousand curves. */
export const heavy = (number: number): PdfPage => {
  const curve = (n: number): string => {
    const x = (n * 37) % 70;
    const y = (n * 53) % 70;
    return `${x} ${y} m ${70 - y} ${x} ${y} ${70 - x} ${70 - x} ${70 - y} c S`;
  };
  const curves = Array.from({ length: 10_000 }, (_, n) => curve(n)).join("\n");
  return { widthPt: 72, heightPt: 72, content: `0.1 w ${curves} BT /F1 18 Tf 10 10 Td (${number}) Tj ET` };
};

/** What printers find hard: a photo, skin, gradients, ramps, fine lines, small letters. */
import type { Image } from "@napi-rs/canvas";
import { a4, black, footer, grey, line, margin, type Page } from "./typeset.ts";

const right = a4.width - margin;
const caption = (page: Page, text: string, x: number, y: number): void =>
  line(page, text, x, y, { sizePt: 7.5, color: grey.dark });

function ramp(
  page: Page,
  x: number,
  y: number,
  width: number,
  height: number,
  colors: readonly string[],
): void {
  const paint = page.createLinearGradient(x, 0, x + width, 0);
  colors.forEach((color, index) => paint.addColorStop(index / (colors.length - 1), color));
  page.fillStyle = paint;
  page.fillRect(x, y, width, height);
}

const white = "#ffffff";
const ramps = [
  ["cyan", [white, "#00ffff", black]],
  ["magenta", [white, "#ff00ff", black]],
  ["yellow", [white, "#ffff00", black]],
  ["red", [white, "#ff0000", black]],
  ["green", [white, "#00ff00", black]],
  ["blue", [white, "#0000ff", black]],
  ["hues", ["#ff0000", "#ffff00", "#00ff00", "#00ffff", "#0000ff", "#ff00ff", "#ff0000"]],
  ["grey", [white, black]],
] as const;

function drawRamps(page: Page, top: number): void {
  caption(
    page,
    "Ramps without steps, and greys in steps of 5 %: no edge may show in those, each must show in these.",
    margin,
    top,
  );
  const left = margin + 44;
  ramps.forEach(([name, colors], index) => {
    const y = top + 7 + 22 * index;
    caption(page, name, margin, y + 12);
    ramp(page, left, y, right - left, 19, colors);
  });
  const y = top + 7 + 22 * ramps.length;
  caption(page, "steps", margin, y + 12);
  const steps = 21;
  const width = (right - left) / steps;
  for (let step = 0; step < steps; step++) {
    const level = Math.round(255 * (1 - step / (steps - 1)));
    page.fillStyle = `rgb(${level},${level},${level})`;
    page.fillRect(left + width * step, y, width, 20);
    const color = level > 128 ? black : white;
    line(page, `${5 * step}`, left + width * (step + 0.5), y + 12, { sizePt: 6, color, align: "center" });
  }
}

/** Faces from light to dark, lit from the left: lit, plain, in shadow. */
const skins = [
  ["#fde9dc", "#f0cdb6", "#c99a80"],
  ["#f5d3b8", "#dfab87", "#a97553"],
  ["#e3b48c", "#c48a5e", "#875836"],
  ["#bd8659", "#945f38", "#5b361d"],
  ["#83553a", "#5d3923", "#331d11"],
] as const;

function drawSkins(page: Page, left: number, top: number): void {
  const pitch = (right - left) / skins.length;
  const radius = pitch / 2 - 2;
  caption(page, "Skin tones", left, top);
  skins.forEach((colors, index) => {
    const [x, y] = [left + pitch * (index + 0.5), top + 10 + radius];
    const paint = page.createRadialGradient(
      x - radius / 3,
      y - radius / 3,
      0,
      x - radius / 3,
      y - radius / 3,
      1.5 * radius,
    );
    colors.forEach((color, stop) => paint.addColorStop(stop / 2, color));
    page.fillStyle = paint;
    page.beginPath();
    page.arc(x, y, radius, 0, 2 * Math.PI);
    page.fill();
  });
}

/** Pale tints and deep shades, where dots are few or nearly closed. */
function drawGradients(page: Page, left: number, top: number): void {
  caption(page, "Pale and deep gradients", left, top);
  const width = right - left;
  ramp(page, left, top + 6, width, 18, [white, "#e8f4ff", white, "#fff0e4", white, "#f0f0f0", white]);
  ramp(page, left, top + 26, width, 18, [black, "#10205c", black, "#5c1010", black, "#333333", black]);
}

/** Cyan, magenta and yellow one upon another: red, green, blue, and black in the middle. */
function drawOverlaps(page: Page, x: number, top: number): void {
  const [radius, apart] = [28, 19];
  page.save();
  page.globalCompositeOperation = "multiply";
  ["#00ffff", "#ff00ff", "#ffff00"].forEach((color, index) => {
    const angle = (2 * Math.PI * index) / 3 - Math.PI / 2;
    page.fillStyle = color;
    page.beginPath();
    page.arc(
      x + apart * Math.cos(angle),
      top + radius + apart * (1 + Math.sin(angle)),
      radius,
      0,
      2 * Math.PI,
    );
    page.fill();
  });
  page.restore();
}

function drawStar(page: Page, x: number, y: number, radius: number): void {
  const spokes = 36;
  page.fillStyle = black;
  for (let spoke = 0; spoke < spokes; spoke++) {
    const angle = (2 * Math.PI * spoke) / spokes;
    page.beginPath();
    page.moveTo(x, y);
    page.arc(x, y, radius, angle, angle + Math.PI / spokes);
    page.fill();
  }
}

const lineWidthsPt = [0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1];
const boxHeight = 126;

function stroke(
  page: Page,
  widthPt: number,
  color: string,
  from: readonly [number, number],
  to: readonly [number, number],
): void {
  page.strokeStyle = color;
  page.lineWidth = widthPt;
  page.beginPath();
  page.moveTo(...from);
  page.lineTo(...to);
  page.stroke();
}

function drawLines(page: Page, left: number, top: number, width: number): void {
  caption(page, "Lines of 0.1 to 1 pt, and a star", left, top);
  const radius = 46;
  const box = { left: left + 94, top: top + 7, width: 44 };
  page.fillStyle = black;
  page.fillRect(box.left, box.top, box.width, boxHeight);
  lineWidthsPt.forEach((widthPt, index) => {
    const y = box.top + 4 + (index * (boxHeight - 8)) / (lineWidthsPt.length - 1);
    line(page, `${widthPt}`, left + 14, y + 2, { sizePt: 5.5, color: grey.dark, align: "right" });
    stroke(page, widthPt, black, [left + 18, y], [box.left - 6, y]);
    const x = box.left + 4.5 + 5 * index;
    stroke(page, widthPt, white, [x, box.top + 5], [x, box.top + boxHeight - 5]);
  });
  drawStar(page, left + width - radius, box.top + boxHeight / 2, radius);
}

const textSizesPt = [4, 5, 6, 7, 8, 9, 10];

function drawLetters(page: Page, left: number, top: number): void {
  caption(page, "Letters of 4 to 10 pt", left, top);
  const middle = (left + right) / 2;
  page.fillStyle = black;
  page.fillRect(middle + 2, top + 7, right - middle - 2, boxHeight);
  let y = top + 10;
  for (const sizePt of textSizesPt) {
    y += sizePt + 9;
    const text = `${sizePt} pt: ink flows`;
    line(page, text, left, y, { sizePt });
    line(page, text, middle + 12, y, { sizePt, color: white });
  }
}

export function testPage(page: Page, number: number, pages: number, photo: Image): void {
  line(page, "What printers find hard", margin, 76, { sizePt: 22, weight: "bold" });
  const photoWidth = 330;
  const photoHeight = (photoWidth * photo.height) / photo.width;
  const top = 94;
  page.drawImage(photo, margin, top, photoWidth, photoHeight);
  caption(page, "Photo: Rachel Michetti, CC0, from scikit-image.", margin, top + photoHeight + 11);

  const left = margin + photoWidth + 16;
  drawSkins(page, left, top + 6);
  drawGradients(page, left, top + 64);
  drawOverlaps(page, (left + right) / 2, top + 132);
  drawRamps(page, 362);
  drawLines(page, margin, 600, 240);
  drawLetters(page, margin + 262, 600);
  footer(page, "Colour: a photo, gradients, fine lines, small letters.", number, pages);
}

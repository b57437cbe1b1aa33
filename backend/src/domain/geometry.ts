/** Plane geometry of sheets and pages. Axes: x to the right, y down; a matrix is [a, b, c, d, e, f] as in canvas and PDF. */

/** Maps (x, y) to (a x + c y + e, b x + d y + f). */
export type Matrix = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Rect extends Size {
  readonly x: number;
  readonly y: number;
}

export const translation = (x: number, y: number): Matrix => [1, 0, 0, 1, x, y];
export const scaling = (factor: number): Matrix => [factor, 0, 0, factor, 0, 0];

/** The matrix that applies the last one first. */
export const compose = (...matrices: readonly [Matrix, ...Matrix[]]): Matrix =>
  matrices.reduce(([a, b, c, d, e, f], [g, h, i, j, k, l]) => [
    a * g + c * h,
    b * g + d * h,
    a * i + c * j,
    b * i + d * j,
    a * k + c * l + e,
    b * k + d * l + f,
  ]);

/** The box around a rectangle's image. */
export function mapRect([a, b, c, d, e, f]: Matrix, { x, y, width, height }: Rect): Rect {
  const xs = [x, x + width].flatMap((px) => [y, y + height].map((py) => a * px + c * py + e));
  const ys = [x, x + width].flatMap((px) => [y, y + height].map((py) => b * px + d * py + f));
  const left = Math.min(...xs);
  const top = Math.min(...ys);
  return { x: left, y: top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
}

/** What two rectangles share; of no width or height where they do not meet. */
export function intersect(one: Rect, other: Rect): Rect {
  const x = Math.max(one.x, other.x);
  const y = Math.max(one.y, other.y);
  return {
    x,
    y,
    width: Math.max(0, Math.min(one.x + one.width, other.x + other.width) - x),
    height: Math.max(0, Math.min(one.y + one.height, other.y + other.height) - y),
  };
}

/** Degrees clockwise. */
export type Turn = 0 | 90 | 180 | 270;

export const addTurns = (one: Turn, other: Turn): Turn => ((one + other) % 360) as Turn;

export const reverseTurn = (turn: Turn): Turn => ((360 - turn) % 360) as Turn;

/** The size of a turned box. */
export const turnedSize = ({ width, height }: Size, turn: Turn): Size =>
  turn % 180 === 0 ? { width, height } : { width: height, height: width };

/** Turns a box, and moves it so that its top left corner is at the origin again. */
export function turning({ width, height }: Size, turn: Turn): Matrix {
  switch (turn) {
    case 0:
      return [1, 0, 0, 1, 0, 0];
    case 90:
      return [0, 1, -1, 0, height, 0];
    case 180:
      return [-1, 0, 0, -1, width, height];
    case 270:
      return [0, -1, 1, 0, 0, width];
  }
}

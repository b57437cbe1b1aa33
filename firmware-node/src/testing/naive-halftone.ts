/**
 * What pixels/ says in words, once more, as simply as it can be written: whole page, numbers without a scale for colour, a full
 * array of errors. Slow, and the second opinion that the kernel is tested against.
 */

const linear = (value: number): number => {
  const v = value / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
};

const one = 4096;
const covered = (light: number): number => one - Math.floor((Math.round(65536 * light) + 8) / 16);

/** Black, cyan, magenta, yellow of a pixel; undefined where it asks for no ink of the group. */
function inksOf(r: number, g: number, b: number): (number | undefined)[] {
  const max = Math.max(r, g, b);
  const black = max === 255 ? (r === g && g === b ? undefined : 0) : covered(linear(max));
  if (r === g && g === b) return [black, undefined, undefined, undefined];
  const share = (value: number) => {
    const light = Math.round(65536 * linear(value));
    const most = Math.round(65536 * linear(max));
    return Math.round((one * (most - light)) / most);
  };
  return [black, share(r), share(g), share(b)];
}

/** Dots of black, cyan, magenta, yellow, one byte a dot, of a page of sRGB. */
export function naiveFloydSteinberg(rgb: Uint8Array, width: number, height: number): Uint8Array[] {
  const dots = [0, 1, 2, 3].map(() => new Uint8Array(width * height));
  const errors = [0, 1, 2, 3].map(() => Array.from({ length: height + 1 }, () => new Float64Array(width)));
  const spread = (plane: number, x: number, y: number, amount: number): void => {
    if (x >= 0 && x < width) errors[plane]![y]![x]! += amount;
  };
  for (let plane = 0; plane < 4; plane++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = y * width + x;
        const asked = inksOf(rgb[at * 3]!, rgb[at * 3 + 1]!, rgb[at * 3 + 2]!)[plane];
        if (asked === undefined) continue;
        let error = errors[plane]![y]![x]!;
        if (plane === 0 || dots[0]![at] === 0) {
          error += asked;
          if (error >= one / 2) {
            dots[plane]![at] = 1;
            error -= one;
          }
        }
        const right = Math.floor((error * 7) / 16);
        const belowLeft = Math.floor((error * 3) / 16);
        const belowRight = Math.floor(error / 16);
        spread(plane, x + 1, y, right);
        spread(plane, x - 1, y + 1, belowLeft);
        spread(plane, x + 1, y + 1, belowRight);
        spread(plane, x, y + 1, error - right - belowLeft - belowRight);
      }
    }
  }
  return dots;
}

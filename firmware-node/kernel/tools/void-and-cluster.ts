/**
 * Blue noise after R. A. Ulichney, "The void-and-cluster method for dither array generation", Proc. SPIE 1913 (1993).
 * Deterministic: the same arguments give the same mask on every machine, since the filter's weights are whole numbers.
 */

/** Width of the filter that finds voids and clusters, pixels (Ulichney's own choice). */
const sigmaPx = 1.5;
const reachPx = 9;
const weightScale = 2 ** 24;

/** Gaussian weights by wrapped distance, as whole numbers, so that sums do not depend on their order. */
function gaussian(): Int32Array {
  const side = 2 * reachPx + 1;
  return Int32Array.from({ length: side * side }, (_, i) => {
    const dx = (i % side) - reachPx;
    const dy = Math.floor(i / side) - reachPx;
    return Math.round(weightScale * Math.exp(-(dx * dx + dy * dy) / (2 * sigmaPx * sigmaPx)));
  });
}

/** A small generator with known constants (Numerical Recipes), enough to scatter the first points. */
function scatter(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Points on a torus, and how crowded each place is. */
class Pattern {
  readonly points: Uint8Array;
  private readonly crowd: Float64Array;
  private readonly side: number;
  private readonly weights: Int32Array;

  constructor(side: number, weights: Int32Array) {
    this.side = side;
    this.weights = weights;
    this.points = new Uint8Array(side * side);
    this.crowd = new Float64Array(side * side);
  }

  copy(): Pattern {
    const other = new Pattern(this.side, this.weights);
    other.points.set(this.points);
    other.crowd.set(this.crowd);
    return other;
  }

  set(place: number, point: 0 | 1): void {
    const { side, weights, crowd } = this;
    const sign = point === 1 ? 1 : -1;
    const x = place % side;
    const y = Math.floor(place / side);
    let i = 0;
    for (let dy = -reachPx; dy <= reachPx; dy++) {
      const row = ((y + dy + side) % side) * side;
      for (let dx = -reachPx; dx <= reachPx; dx++)
        crowd[row + ((x + dx + side) % side)]! += sign * weights[i++]!;
    }
    this.points[place] = point;
  }

  /** The point in the thickest crowd. */
  tightestCluster(): number {
    let best = -1;
    for (let i = 0; i < this.points.length; i++) {
      if (this.points[i] === 1 && (best < 0 || this.crowd[i]! > this.crowd[best]!)) best = i;
    }
    return best;
  }

  /** The empty place that lies loneliest. */
  largestVoid(): number {
    let best = -1;
    for (let i = 0; i < this.points.length; i++) {
      if (this.points[i] === 0 && (best < 0 || this.crowd[i]! < this.crowd[best]!)) best = i;
    }
    return best;
  }
}

/** Ranks 0 to side² − 1, row by row, each once: the places below any rank are spread as evenly as can be, also over the edges. */
export function voidAndCluster(side: number, seed: number): Uint32Array {
  const size = side * side;
  const random = scatter(seed);
  const first = new Pattern(side, gaussian());
  const count = Math.floor(size / 10);
  for (let placed = 0; placed < count; ) {
    const place = Math.floor(random() * size);
    if (first.points[place] === 1) continue;
    first.set(place, 1);
    placed++;
  }
  // Spread the first points: the most crowded one moves to the loneliest place, until that is where it came from.
  for (;;) {
    const from = first.tightestCluster();
    first.set(from, 0);
    const to = first.largestVoid();
    first.set(to, 1);
    if (to === from) break;
  }
  const ranks = new Uint32Array(size);
  const thinning = first.copy();
  for (let rank = count - 1; rank >= 0; rank--) {
    const place = thinning.tightestCluster();
    thinning.set(place, 0);
    ranks[place] = rank;
  }
  // Past one half the loneliest empty place is also the tightest cluster of empty ones: the filter's sum is constant.
  for (let rank = count; rank < size; rank++) {
    const place = first.largestVoid();
    first.set(place, 1);
    ranks[place] = rank;
  }
  return ranks;
}

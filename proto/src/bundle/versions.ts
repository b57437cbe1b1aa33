/** The order of versions: Semantic Versioning 2.0.0, section 11. Build metadata is not taken. */

const partsOf = (version: string): { core: number[]; pre: string[] } => {
  const dash = version.indexOf("-");
  const core = dash < 0 ? version : version.slice(0, dash);
  return { core: core.split(".").map(Number), pre: dash < 0 ? [] : version.slice(dash + 1).split(".") };
};

function compareIdentifiers(a: string, b: string): number {
  const numeric = /^\d+$/;
  if (numeric.test(a) && numeric.test(b)) return Number(a) - Number(b);
  if (numeric.test(a) !== numeric.test(b)) return numeric.test(a) ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Negative when `a` comes before `b`, 0 when they are the same, positive when it comes after. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left.core[i] ?? 0) - (right.core[i] ?? 0);
    if (difference !== 0) return difference;
  }
  // 1.0.0-beta comes before 1.0.0.
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length;
  for (let i = 0; i < Math.min(left.pre.length, right.pre.length); i++) {
    const difference = compareIdentifiers(left.pre[i]!, right.pre[i]!);
    if (difference !== 0) return difference;
  }
  return left.pre.length - right.pre.length;
}

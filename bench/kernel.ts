/**
 * `npm run bench -- kernel [speed | quality] [--docs]`: how fast the pixel kernel is, and how good its dots look, beside other
 * programs that are installed. `--docs` keeps the pictures in docs/. Photos come from PLATEN_SHARED (default ../shared)/images.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quality } from "./kernel/quality.ts";
import { speed } from "./kernel/speed.ts";
import { sharedFolder } from "./support/shared.ts";

export async function run(args: string[]): Promise<void> {
  const root = join(import.meta.dirname, "..");
  const images = join(sharedFolder, "images");
  const pictures = args.includes("--docs") ? join(root, "docs") : tmpdir();
  const what = args.find((arg) => !arg.startsWith("--")) ?? "speed";
  if (what === "speed") await speed(images, join(pictures, "kernel-speed.svg"));
  else if (what === "quality") await quality(images, join(pictures, "halftones.png"));
  else throw new Error(`kernel measures speed or quality, not ${what}`);
}

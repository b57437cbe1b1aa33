/** Writes the golden files anew. Only a new version of the protocol may change them. */
import { writeFileSync } from "node:fs";
import { bands, damagedBands, frames, streams } from "./cases.ts";

const write = (name: string, value: unknown): void =>
  writeFileSync(new URL(`${name}.golden.json`, import.meta.url), `${JSON.stringify(value, null, 1)}\n`);

write("frames", frames);
write("bands", { bands, damaged: damagedBands });
write("streams", streams);

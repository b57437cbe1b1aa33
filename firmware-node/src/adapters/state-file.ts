/** The printer's key in a file that nobody else may read. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import { z } from "zod";
import type { KeyStore } from "../ports/key-store.ts";

const stateSchema = z.object({ printerKey: z.string() });

/** Keeps the key in `folder`/`printerId`.json (mode 0600). A file that cannot be read or understood throws `configuration`. */
export function stateFile(folder: string, printerId: string): KeyStore {
  const path = join(folder, `${printerId}.json`);
  return {
    async load() {
      try {
        return stateSchema.parse(JSON.parse(await readFile(path, "utf8"))).printerKey;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "";
        const message = `cannot read the printer's key from ${path}: ${(cause as Error).message}`;
        throw new PlatenError("configuration", message, { cause });
      }
    },
    async save(printerKey) {
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(`${path}.part`, `${JSON.stringify({ printerKey })}\n`, { mode: 0o600 });
        await rename(`${path}.part`, path);
      } catch (cause) {
        const message = `cannot keep the printer's key in ${path}: ${(cause as Error).message}`;
        throw new PlatenError("configuration", message, { cause });
      }
    },
  };
}

/** The printer's key in a file that nobody else may read. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import { z } from "zod";
import type { KeyStore } from "../ports/key-store.ts";
import { replaceFile } from "./replace-file.ts";

const stateSchema = z.object({ printerKey: z.string() });

/**
 * Keeps the key in `folder`/`printerId`.json (mode 0600). A file that cannot be read or understood throws `configuration`; an
 * empty one, as power cuts left them where an earlier version had written it, holds none.
 */
export function stateFile(folder: string, printerId: string): KeyStore {
  const path = join(folder, `${printerId}.json`);
  return {
    async load() {
      try {
        const text = await readFile(path, "utf8");
        return text === "" ? "" : stateSchema.parse(JSON.parse(text)).printerKey;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "";
        const message = `cannot read the printer's key from ${path} (${(cause as Error).message}): mend that, or remove the file and let an operator run "platen printers remove ${printerId}"`;
        throw new PlatenError("configuration", message, { cause });
      }
    },
    async save(printerKey) {
      try {
        replaceFile(path, `${JSON.stringify({ printerKey })}\n`, 0o600);
      } catch (cause) {
        const message = `cannot keep the printer's key in ${path}: ${(cause as Error).message}`;
        throw new PlatenError("configuration", message, { cause });
      }
    },
  };
}

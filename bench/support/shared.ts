/** What is measured with, where it is not part of the project. */
import { join } from "node:path";

/** PLATEN_SHARED, or `../shared` beside the repository. */
export const sharedFolder: string =
  process.env.PLATEN_SHARED ?? join(import.meta.dirname, "..", "..", "..", "shared");

/** What makes bundles, and what puts them onto boards. */
export { Board } from "./board.ts";
export { headOf, packBundle, unpackBundle, verifyBundle } from "./bundle.ts";
export { type Disk, disk, diskError, readFileIfAny, readFrom, replaceFile } from "./disk.ts";
export { judged, readState, type SlotName, type State, writeState } from "./state.ts";
export {
  missingFile,
  missingSchema,
  requestFile,
  requestSchema,
  statusFile,
  statusSchema,
  systemFolder,
  type SystemRequest,
  type SystemStatus,
} from "./system-files.ts";

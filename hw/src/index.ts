/** The print engine's side. It imports nothing of the project: an engine is another machine. */
export { type InkLook, type InkLooks, plainPaper, type Scan, scanOf, type ScanOptions } from "./dot-gain.ts";
export {
  EngineModel,
  type EngineModelOptions,
  EngineStopped,
  type Ink,
  type ModelEvent,
  type PrintedSide,
  type SideStart,
  type StackedSheet,
  type Strip,
  type Trouble,
} from "./engine-model.ts";

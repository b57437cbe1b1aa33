/** The print engine's side. It imports nothing of the project: an engine is another machine. */
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

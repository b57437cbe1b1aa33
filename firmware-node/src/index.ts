/** What another program needs to run a printer, or to be its engine. */
export { type PrinterConfig, type PrinterSettings, parsePrinterConfig } from "./config.ts";
export { PngSink } from "./adapters/png-sink.ts";
export { SimulatedEngine } from "./adapters/simulated-engine.ts";
export { Printer } from "./app/printer.ts";
export {
  type Colorant,
  type EngineCapabilities,
  type EngineDriver,
  type EngineEvent,
  EngineFault,
  type JobStart,
  type PageStart,
  type PlanarBand,
  type Plane,
  type Supply,
} from "./ports/engine-driver.ts";
export { type PrinterEvent, type RunningPrinter, startPrinter, type StartOptions } from "./start.ts";

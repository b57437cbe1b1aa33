/** The engine link at work: both ends, bad lines, and clocks, real and virtual. */
export { type Clock, realClock, VirtualClock } from "./clock.ts";
export { EngineDevice, instantMechanics, type Mechanics } from "./engine-device.ts";
export { FaultyLine, type LineCounts, type LineFaults, type LineOptions } from "./faulty-line.ts";
export { HostLink, type LinkEvent } from "./host-link.ts";
export { type Random, randomInt, seededRandom } from "./random.ts";
export { SimulatedEngine, type SimulatedEngineOptions } from "./simulated-engine.ts";
